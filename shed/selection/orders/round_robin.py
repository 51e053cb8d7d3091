"""An order of rows in which the dev records take their nearest ones in turn (RDS+ as its authors select, arXiv 2503.01807).

In: unit rows of records and of dev records, such as hidden states. Out: a score for each record, the higher the earlier it is
taken.
"""

import numpy as np


def round_robin(states: np.ndarray, dev_states: np.ndarray) -> np.ndarray:
    """(N,) float64, −1 for the row that is taken first, −N for the last.

    In each round every dev row, in its order, takes the nearest row that nobody has taken; of equally near ones the first.
    `shed.selection.model_signals.nearest_rank` orders rows by their best rank instead, so that a row that is near to many dev
    rows counts for each of them, and some dev rows may have none.

    Args:
        states: (N, D) float32 unit rows.
        dev_states: (M, D) float32 unit rows, at least one. Memory is 4 · N · M bytes.
    """
    rows = len(states)
    nearest = np.empty((len(dev_states), rows), dtype=np.int32)
    for n, own in enumerate(dev_states):
        nearest[n] = np.argsort(-(states @ own).astype(np.float64), kind="stable")
    scores, taken = np.empty(rows), np.zeros(rows, dtype=bool)
    looked_at = [0] * len(dev_states)
    for place in range(rows):
        asking = place % len(dev_states)
        queue, at = nearest[asking], looked_at[asking]
        while taken[queue[at]]:
            at += 1
        taken[queue[at]], scores[queue[at]], looked_at[asking] = True, -1.0 - place, at + 1
    return scores
