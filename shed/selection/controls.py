"""The rows that a selection is compared with: random ones, as many, or with as many response tokens.

In: the records that may be selected, and how much a selection has. Out: for each seed the rows of a control.

Both controls of a seed take rows in one random order, so that they are the same rows where the selection's responses are as
long as the others. Some of them are the selection's own: a share of the candidates as large as the selection's.
"""

from collections.abc import Sequence

import numpy as np

from shed.data.records import Record
from shed.selection.sampling import nearest_count


def random_rows(candidates: Sequence[Record], rows: int, seed: int) -> list[Record]:
    """As many rows, drawn as the sampler `random` draws them under this seed."""
    return [candidates[place] for place in np.random.default_rng(seed).permutation(len(candidates))[:rows]]


def random_tokens(candidates: Sequence[Record], costs: np.ndarray, tokens: int, seed: int) -> list[Record]:
    """Rows in the order of `random_rows` until they have as many response tokens, as nearly as whole rows allow.

    Args:
        costs: (N,) int, response tokens of each candidate.
    """
    order = np.random.default_rng(seed).permutation(len(candidates))
    return [candidates[place] for place in order[: nearest_count(costs[order], tokens)]]
