"""An order of rows that are typical and unlike each other, near-duplicates last (as semhash deduplicates and selects).

In: (N, D) embeddings. Out: a score for each row, the higher the earlier it is taken.
"""

import numpy as np

LIKE = 0.9  # cosine from which two rows are near-duplicates
NEIGHBOURS = 100  # by which a row's likeness to the others is measured
READ_AT_ONCE = 1 << 11  # rows


def distinct(embeddings: np.ndarray) -> np.ndarray:
    """(N,) float64, −1 for the row that is taken first, −N for the last.

    Near-duplicates of an earlier row come last, in their order. Of the others the next one has the largest maximal marginal
    relevance (Carbonell and Goldstein 1998): half of its mean cosine to its nearest 100 rows, less half of its cosine to the
    nearest row that was taken.

    Args:
        embeddings: (N, D) float32 unit rows. Time grows with N²; memory is that of 2,048 · N numbers.
    """
    repeats = repeated(embeddings)
    kept = np.flatnonzero(~repeats)
    own = embeddings[kept]
    relevance = _relevance(own)
    scores = np.empty(len(embeddings))
    nearest = np.full(len(kept), -1.0)  # cosine to the nearest that was taken
    for place in range(len(kept)):
        row = int(np.argmax(relevance - nearest))
        scores[kept[row]] = -1.0 - place
        relevance[row] = -np.inf
        np.maximum(nearest, own @ own[row], out=nearest)
    scores[repeats] = -1.0 - np.arange(len(kept), len(embeddings))
    return scores


def repeated(embeddings: np.ndarray) -> np.ndarray:
    """(N,) bool, which rows have a cosine of 0.9 or more to an earlier row that is itself no near-duplicate."""
    found = np.zeros(len(embeddings), dtype=bool)
    for row in range(1, len(embeddings)):
        before = embeddings[:row][~found[:row]]
        found[row] = bool((before @ embeddings[row] >= LIKE).any())
    return found


def _relevance(embeddings: np.ndarray) -> np.ndarray:
    """(N,) mean cosine of each row to its nearest others."""
    rows = len(embeddings)
    neighbours = min(NEIGHBOURS, rows - 1)
    if neighbours < 1:
        return np.zeros(rows)
    found = np.empty(rows)
    for start in range(0, rows, READ_AT_ONCE):
        cosines = embeddings[start : start + READ_AT_ONCE] @ embeddings.T
        places = np.arange(len(cosines))
        cosines[places, start + places] = -np.inf
        nearest = np.partition(cosines, rows - neighbours, axis=1)[:, rows - neighbours :]
        found[start : start + READ_AT_ONCE] = nearest.mean(axis=1, dtype=np.float64)
    return found
