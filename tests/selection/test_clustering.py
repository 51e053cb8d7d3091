"""Clusters are exactly C and never empty; their proxies are the rows nearest the centre; of large pools, too."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from shed.common.arrays import map_array
from shed.common.atomic_io import write_array
from shed.common.errors import ShedError
from shed.selection import clustering, large_kmeans
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


@pytest.fixture
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools of more than fifty rows are large, and blocks have a few rows."""
    monkeypatch.setattr(clustering, "LARGE", 50)
    monkeypatch.setattr(clustering, "READ_AT_ONCE", 7)
    monkeypatch.setattr(large_kmeans, "BLOCK_NUMBERS", 100)


@pytest.mark.usefixtures("as_if_large")
def test_clear_groups_of_a_large_pool_are_found_whether_it_is_in_memory_or_in_a_file(
    groups: np.ndarray, tmp_path: Path
) -> None:
    write_array(tmp_path / "rows.npy", groups)
    for rows in (groups, map_array(tmp_path / "rows.npy")):
        found = cluster(rows, 4, "kmeans", 2, seed=0)
        assert found.labels.tolist() == np.repeat(np.arange(4), 30).tolist()
        assert found.proxies.sum() == 8


@pytest.mark.usefixtures("as_if_large")
def test_of_a_large_pool_no_cluster_is_empty_and_each_row_is_in_the_nearest(groups: np.ndarray) -> None:
    for C in (10, 115):
        assert (np.bincount(cluster(groups, C, "kmeans", 1, seed=0).labels, minlength=C) > 0).all()
    labels = large_kmeans.assigned(groups, groups[::12])
    apart = np.linalg.norm(groups[:, None] - groups[None, ::12], axis=2)
    assert (labels == apart.argmin(axis=1)).all()


def test_centres_from_a_sample_are_nearly_as_good_as_those_from_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((40, 16))[rng.integers(40, size=4000)] + rng.standard_normal((4000, 16))).astype(np.float32)
    exact = quality(rows, cluster(rows, 30, "kmeans", 1, seed=0), seed=0)["inertia"]
    monkeypatch.setattr(clustering, "LARGE", 1000)
    sampled = quality(rows, cluster(rows, 30, "kmeans", 1, seed=0), seed=0)["inertia"]
    assert exact < sampled < 1.03 * exact
    assert (cluster(rows, 30, "kmeans", 1, seed=0).labels == cluster(rows, 30, "kmeans", 1, seed=0).labels).all()


def test_a_pool_in_a_file_is_clustered_in_less_memory_than_its_rows_and_no_matrix_of_rows_and_clusters_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_kmeans, "BLOCK_NUMBERS", 1 << 16)
    monkeypatch.setattr(clustering, "READ_AT_ONCE", 256)
    write_array(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((30_000, 32), dtype=np.float32))
    cluster(np.eye(3, dtype=np.float32), 2, "kmeans", 1, seed=0)  # imports what is needed
    tracemalloc.start()
    cluster(map_array(tmp_path / "rows.npy"), 100, "kmeans", 1, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000 * 32 * 4 < 30_000 * 100 * 4


def test_empty_clusters_get_the_rows_that_are_farthest_from_their_centres() -> None:
    rows = np.array([[0, 0], [0, 1], [0, 8], [9, 9], [9, 9.5]], dtype=np.float32)
    filled = clustering._fill_empty(rows, np.array([0, 0, 0, 1, 1]), 4)
    assert filled[2] == 2  # 5 from the mean of the first three, whose mean is then (0, 0.5)
    assert filled.tolist() in ([3, 0, 2, 1, 1], [0, 3, 2, 1, 1])
    alone = clustering._fill_empty(rows, np.array([0, 1, 2, 3, 3]), 5)
    assert sorted(alone.tolist()) == [0, 1, 2, 3, 4]  # a cluster of one row keeps it


def test_rows_that_differ_are_counted_as_far_as_is_needed(as_if_large: None) -> None:
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, 1.0]] * 40, dtype=np.float32)
    with pytest.raises(ShedError, match="has 120 records with 2 distinct embeddings"):
        cluster(rows, 3, "kmeans", 1, seed=0)


def test_more_rows_than_can_be_agglomerated_are_refused(groups: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "MOST_AGGLOMERATED", 100)
    with pytest.raises(ShedError, match=r"the pool has 120 records, .* 7,140 distances in memory; use kmeans") as error:
        cluster(groups, 4, "agglomerative", 1, seed=0)
    assert error.value.setting == "clustering method"
