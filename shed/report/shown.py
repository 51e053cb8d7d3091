"""What pages show of what they cannot show whole: of a large pool some records on the map and some clusters in the table; of
names what a picture has room for; of characters those that can be written.

In: which records are selected; the table of scores; texts. Out: places of records, rows of the table; texts.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from shed.data.forms.characters import UNWRITABLE

LONGEST_LABEL = 200  # characters; the drawing of a longer name takes minutes
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


def writable(text: str) -> str:
    """The text with U+FFFD for each character that XML and UTF-8 have no place for; the drawing of one ends the process."""
    return UNWRITABLE.sub("\ufffd", text)


def labels(names: Iterable[str]) -> dict[str, str]:
    """By name what a picture shows of it: short, writable, and another one for each name."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        text = writable(name)
        label = short = text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
        number = 2
        while label in taken:
            label, number = f"{short} ({number})", number + 1
        taken.add(label)
        found[name] = label
    return found
