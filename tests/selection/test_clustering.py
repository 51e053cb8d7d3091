"""Clusters are exactly C and never empty; their proxies are the rows nearest the centre."""

import numpy as np
import pytest

from shed.common.errors import ShedError
from shed.selection.clustering import Method, cluster, quality


@pytest.fixture
def groups() -> np.ndarray:
    """(120, 8) float32 unit rows around four directions."""
    rng = np.random.default_rng(0)
    rows = np.repeat(np.eye(8)[:4], 30, axis=0) + 0.1 * rng.standard_normal((120, 8))
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit.astype(np.float32)


METHODS: list[Method] = ["kmeans", "minibatch_kmeans", "agglomerative"]


@pytest.mark.parametrize("method", METHODS)
def test_clear_groups_are_found_and_numbered_by_their_first_row(groups: np.ndarray, method: Method) -> None:
    found = cluster(groups, 4, method, 2, seed=0)
    assert found.labels.tolist() == np.repeat(np.arange(4), 30).tolist()
    assert found.proxies.sum() == 8


@pytest.mark.parametrize("method", METHODS)
def test_proxies_are_the_nearest_rows_of_their_cluster(groups: np.ndarray, method: Method) -> None:
    found = cluster(groups, 10, method, 3, seed=0)
    for c in range(10):
        inside = found.labels == c
        farthest_proxy = found.distances[inside & found.proxies].max()
        assert (found.distances[inside & ~found.proxies] >= farthest_proxy).all()


@pytest.mark.parametrize("method", METHODS)
def test_no_cluster_is_empty_even_if_there_are_nearly_as_many_clusters_as_rows(groups: np.ndarray, method: Method) -> None:
    found = cluster(groups, 100, method, 1, seed=0)
    assert (np.bincount(found.labels, minlength=100) > 0).all()


def test_more_clusters_than_distinct_rows_is_refused(groups: np.ndarray) -> None:
    with pytest.raises(ShedError, match="C is 121, but the pool has 120 records with 120 distinct embeddings; lower C"):
        cluster(groups, 121, "kmeans", 1, seed=0)
    with pytest.raises(ShedError, match="with 1 distinct"):
        cluster(np.ones((5, 2), dtype=np.float32), 2, "kmeans", 1, seed=0)


def test_quality_of_clear_groups(groups: np.ndarray) -> None:
    measured = quality(groups, cluster(groups, 4, "kmeans", 1, seed=0), seed=0)
    assert measured["size_min"] == measured["size_max"] == 30
    assert measured["silhouette"] > 0.5
    centred = groups - np.repeat(groups.reshape(4, 30, 8).mean(axis=1), 30, axis=0)
    assert measured["inertia"] == pytest.approx(float((centred**2).sum()), rel=1e-5)
