"""Clusters of the pool and the proxies that stand for them.

In: (N, D) embeddings. Out: a `Clustering`: each row's cluster, its distance to the centre, and whether it is a proxy.

Embeddings may lie in a file (`numpy.memmap`): they are read a block or a cluster at a time.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shed.common.errors import ShedError
from shed.selection.large_kmeans import blocks, large_kmeans

Method = Literal["kmeans", "minibatch_kmeans", "agglomerative"]
SILHOUETTE_ROWS = 2000
LARGE = 10_000  # rows; of more, k-means learns its centres on a sample, from one start
MOST_AGGLOMERATED = 30_000  # rows; their pairs take 3.6 GB
READ_AT_ONCE = 1 << 14  # rows


@dataclass(frozen=True)
class Clustering:
    """C non-empty clusters of N rows.

    Attributes:
        labels: (N,) int64, the cluster of each row, 0 to C - 1.
        distances: (N,) float32, Euclidean distance to the mean of the row's cluster.
        proxies: (N,) bool, true for the rows nearest to each cluster's mean.
    """

    labels: np.ndarray
    distances: np.ndarray
    proxies: np.ndarray


def cluster(embeddings: np.ndarray, C: int, method: Method, proxies_per_cluster: int, seed: int) -> Clustering:
    """Group rows into exactly C clusters and mark each one's proxies (SHED, section 3.1).

    Clusters are numbered by their first row, so that equal groupings have equal labels. Of more than `LARGE` rows, `kmeans` is
    `shed.selection.large_kmeans`.

    Raises:
        ShedError: fewer distinct rows than C, so that a cluster would be empty, or too many to agglomerate.
    """
    if (distinct := _distinct(embeddings, C)) < C:
        raise ShedError(f"C is {C}, but the pool has {len(embeddings)} records with {distinct} distinct embeddings; lower C")
    labels = _renumber(_fit(embeddings, C, method, seed))
    if labels.max() + 1 != C:
        raise ShedError(f"{method} found {labels.max() + 1} clusters instead of C = {C}; lower C or use kmeans")
    order = np.argsort(labels, kind="stable")
    first = np.searchsorted(labels[order], np.arange(C))
    distances = np.empty(len(labels), dtype=np.float32)
    for members in np.split(order, first[1:]):
        own = np.asarray(embeddings[members])
        distances[members] = np.linalg.norm(own - own.mean(axis=0), axis=1)
    nearest = np.lexsort((distances, labels))  # stable, so that of equal ones the first row is nearer
    place = np.arange(len(labels)) - first[labels[nearest]]  # in its cluster, from 0 for the nearest
    proxies = np.zeros(len(labels), dtype=bool)
    proxies[nearest[place < proxies_per_cluster]] = True
    return Clustering(labels, distances, proxies)


def quality(embeddings: np.ndarray, clustering: Clustering, seed: int) -> dict[str, float | int]:
    """Sizes, inertia (sum of squared distances), silhouette on a sample, mean distance to the centre, number of proxies."""
    from sklearn.metrics import silhouette_score

    sizes = np.bincount(clustering.labels)
    sampled = np.random.default_rng(seed).permutation(len(embeddings))[:SILHOUETTE_ROWS]
    several = 1 < len(np.unique(clustering.labels[sampled])) < len(sampled)
    return {
        "clusters": len(sizes),
        "size_min": int(sizes.min()),
        "size_median": float(np.median(sizes)),
        "size_max": int(sizes.max()),
        "proxies": int(clustering.proxies.sum()),
        "inertia": float(np.square(clustering.distances, dtype=np.float64).sum()),
        "within_cluster_distance": float(clustering.distances.mean()),
        "silhouette": float(silhouette_score(embeddings[sampled], clustering.labels[sampled])) if several else 0.0,
    }


def _distinct(embeddings: np.ndarray, enough: int) -> int:
    """How many rows differ from all before them; it stops at `enough`."""
    seen: set[bytes] = set()
    for _, block in blocks(embeddings, READ_AT_ONCE):
        for row in block + 0.0:  # -0 equals 0
            seen.add(row.tobytes())
            if len(seen) == enough:
                return enough
    return len(seen)


def _fit(embeddings: np.ndarray, C: int, method: Method, seed: int) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering, KMeans, MiniBatchKMeans

    rows = len(embeddings)
    if method == "agglomerative":
        if rows > MOST_AGGLOMERATED:
            raise ShedError(
                f"the pool has {rows:,} records, and agglomerative clustering would keep {rows * (rows - 1) // 2:,} distances "
                f"in memory; use kmeans for more than {MOST_AGGLOMERATED:,}",
                "clustering method",
            )
        labels = AgglomerativeClustering(n_clusters=C, linkage="ward").fit_predict(embeddings)
    elif method == "kmeans" and rows <= LARGE:
        labels = KMeans(n_clusters=C, n_init=4, random_state=seed).fit_predict(embeddings)
    elif method == "kmeans":
        labels = _fill_empty(embeddings, large_kmeans(embeddings, C, seed), C)
    else:
        labels = MiniBatchKMeans(n_clusters=C, n_init=3, batch_size=4096, random_state=seed).fit_predict(embeddings)
        labels = _fill_empty(embeddings, labels, C)
    return np.asarray(labels, dtype=np.int64)


def _fill_empty(embeddings: np.ndarray, labels: np.ndarray, C: int) -> np.ndarray:
    """K-means may leave clusters empty: give each the row that is farthest from its own centre, and move that centre."""
    labels = labels.copy()
    empty = np.setdiff1d(np.arange(C), labels)
    if not len(empty):
        return labels
    counts = np.bincount(labels, minlength=C)
    distances = np.empty(len(labels))  # of rows that are alone, -1: they stay
    for c in np.flatnonzero(counts):
        _measure(embeddings, np.flatnonzero(labels == c), distances)
    for c in empty:
        row = np.argmax(distances)
        donor, labels[row], distances[row] = labels[row], c, -1.0
        _measure(embeddings, np.flatnonzero(labels == donor), distances)
    return labels


def _measure(embeddings: np.ndarray, members: np.ndarray, distances: np.ndarray) -> None:
    """Write the distances of one cluster's rows to their mean."""
    if len(members) == 1:
        distances[members] = -1.0
        return
    own = np.asarray(embeddings[members])
    sums = np.zeros((1, own.shape[1]))
    np.add.at(sums, np.zeros(len(own), dtype=np.int64), own)
    distances[members] = np.linalg.norm(own - sums / len(own), axis=1)


def _renumber(labels: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
