"""Clusters of the pool and the proxies that stand for them.

In: (N, D) embeddings. Out: a `Clustering`: each row's cluster, its distance to the centre, and whether it is a proxy.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shed.common.errors import ShedError

Method = Literal["kmeans", "minibatch_kmeans", "agglomerative"]
SILHOUETTE_ROWS = 2000


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

    Clusters are numbered by their first row, so that equal groupings have equal labels.

    Raises:
        ShedError: fewer distinct rows than C, so that a cluster would be empty.
    """
    distinct = len(np.unique(embeddings, axis=0))
    if distinct < C:
        raise ShedError(f"C is {C}, but the pool has {len(embeddings)} records with {distinct} distinct embeddings; lower C")
    labels = _renumber(_fit(embeddings, C, method, seed))
    if labels.max() + 1 != C:
        raise ShedError(f"{method} found {labels.max() + 1} clusters instead of C = {C}; lower C or use kmeans")
    centres = np.stack([embeddings[labels == c].mean(axis=0) for c in range(C)])
    distances = np.linalg.norm(embeddings - centres[labels], axis=1).astype(np.float32)
    proxies = np.zeros(len(labels), dtype=bool)
    for c in range(C):
        members = np.flatnonzero(labels == c)
        proxies[members[np.argsort(distances[members], kind="stable")[:proxies_per_cluster]]] = True
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


def _fit(embeddings: np.ndarray, C: int, method: Method, seed: int) -> np.ndarray:
    from sklearn.cluster import AgglomerativeClustering, KMeans, MiniBatchKMeans

    if method == "agglomerative":
        labels = AgglomerativeClustering(n_clusters=C, linkage="ward").fit_predict(embeddings)
    elif method == "kmeans":
        labels = KMeans(n_clusters=C, n_init=4, random_state=seed).fit_predict(embeddings)
    else:
        labels = MiniBatchKMeans(n_clusters=C, n_init=3, batch_size=4096, random_state=seed).fit_predict(embeddings)
        labels = _fill_empty(embeddings, labels, C)
    return np.asarray(labels, dtype=np.int64)


def _fill_empty(embeddings: np.ndarray, labels: np.ndarray, C: int) -> np.ndarray:
    """Mini-batch k-means may leave clusters empty: give each the row that is farthest from its own centre."""
    labels = labels.copy()
    for c in np.setdiff1d(np.arange(C), labels):
        counts = np.bincount(labels, minlength=C)
        sums = np.zeros((C, embeddings.shape[1]), dtype=np.float64)
        np.add.at(sums, labels, embeddings)
        distances = np.linalg.norm(embeddings - (sums / np.maximum(counts, 1)[:, None])[labels], axis=1)
        labels[np.argmax(np.where(counts[labels] > 1, distances, -1.0))] = c
    return labels


def _renumber(labels: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
