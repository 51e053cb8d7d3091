"""What the page of a large pool shows: some of its records on the map, and some of its clusters in the table.

In: which records are selected; the table of scores. Out: places of records, and rows of the table.
"""

import numpy as np
import pandas as pd

MAP_RECORDS = 4000  # of more, t-SNE takes minutes, and a browser draws each of them
TABLE_CLUSTERS = 400
SELECTED = 5  # one of so many on the map is selected, if the selection has as many


def records_shown(selected: np.ndarray) -> np.ndarray:
    """Places of the records on the map, in order: all, or `MAP_RECORDS` that are drawn at random, the same ones each time.

    Selected ones have the share that they have of the pool, and at least a fifth, so that a small selection can be seen.

    Args:
        selected: (N,) bool.
    """
    most = MAP_RECORDS
    if len(selected) <= most:
        return np.arange(len(selected))
    rng = np.random.default_rng(0)
    taken, others = (rng.permutation(np.flatnonzero(part)) for part in (selected, ~selected))
    count = min(len(taken), max(most // SELECTED, round(most * len(taken) / len(selected))))
    return np.sort(np.concatenate([taken[:count], others[: most - count]]))


def clusters_shown(scores: pd.DataFrame) -> pd.DataFrame:
    """All clusters, or as many of the best and of the worst ones.

    Args:
        scores: a row for each cluster, best first.
    """
    best, worst = TABLE_CLUSTERS // 2, TABLE_CLUSTERS - TABLE_CLUSTERS // 2
    return scores if len(scores) <= TABLE_CLUSTERS else pd.concat([scores.head(best), scores.tail(worst)])
