"""K-means of more rows than scikit-learn takes in minutes: centres from a sample, then all rows in blocks.

In: (N, D) rows, which may lie in a file. Out: the cluster of each row.

K-means++ looks at all its rows for each centre, so that it starts from few rows a cluster; Lloyd's steps learn the centres on
more of them, and a few on all. No N × C matrix is made, and rows of a file are read block by block.
"""

from collections.abc import Iterator

import numpy as np

from shed.common.progress import track

SEEDED = 10  # rows a cluster that k-means++ chooses the first centres from
LEARNED = 64  # rows a cluster that Lloyd's steps learn from
STEPS_ON_SAMPLE, STEPS_ON_ALL = 10, 2
BLOCK_NUMBERS = 1 << 24  # of a block's rows × centres matrix: 64 MiB


def large_kmeans(rows: np.ndarray, C: int, seed: int) -> np.ndarray:
    """(N,) int64, the cluster of each row, 0 to C - 1; some clusters may be empty.

    Args:
        rows: (N, D) float32, at least C of them.
    """
    from sklearn.cluster import KMeans, kmeans_plusplus

    order = np.random.default_rng(seed).permutation(len(rows))
    sample = np.asarray(rows[np.sort(order[: LEARNED * C])])
    some = np.random.default_rng(seed).permutation(len(sample))[: SEEDED * C]
    centres, _ = kmeans_plusplus(sample[some], C, random_state=seed)
    centres = KMeans(C, init=centres, n_init=1, max_iter=STEPS_ON_SAMPLE).fit(sample).cluster_centers_
    del sample
    for _ in range(STEPS_ON_ALL):
        centres = _means(rows, assigned(rows, centres), centres)
    return assigned(rows, centres)


def assigned(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N,) int64, the nearest of the (C, D) centres to each row."""
    labels = np.empty(len(rows), dtype=np.int64)
    across, half = np.ascontiguousarray(centres.T), np.square(centres).sum(axis=1) / 2
    each = max(1, BLOCK_NUMBERS // len(centres))
    likeness = np.empty((min(each, len(rows)), len(centres)), dtype=np.float32)
    for start, block in track(blocks(rows, each), "rows to clusters", "block", -(-len(rows) // each)):
        near = np.matmul(block, across, out=likeness[: len(block)])
        near -= half  # the nearest has the largest x·c - |c|²/2
        near.argmax(axis=1, out=labels[start : start + len(block)])
    return labels


def blocks(rows: np.ndarray, each: int) -> Iterator[tuple[int, np.ndarray]]:
    """Rows, so many at once, with the place of the first."""
    for start in range(0, len(rows), each):
        yield start, np.asarray(rows[start : start + each])


def _means(rows: np.ndarray, labels: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(C, D) float32 means of the rows of each cluster; a cluster without rows keeps its centre."""
    from scipy.sparse import csr_array

    sums = np.zeros(before.shape)
    for start, block in blocks(rows, 1 << 14):
        own, places = labels[start : start + len(block)], np.arange(len(block))
        sums += csr_array((np.ones(len(block), dtype=np.float32), (own, places)), shape=(len(before), len(block))) @ block
    counts = np.bincount(labels, minlength=len(before))[:, None]
    return np.where(counts, sums / np.maximum(counts, 1), before).astype(np.float32)
