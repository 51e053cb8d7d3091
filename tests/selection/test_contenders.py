"""Each contender selects as many rows as it is asked for, and those that its name promises."""

import numpy as np
import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.selection.contenders import contend

CLUSTERS = pd.DataFrame(
    {
        "id": [f"r{i:02}" for i in range(40)],
        "source": ["a", "b"] * 20,
        "cluster": np.arange(40) // 10,
        "distance": np.linspace(0, 1, 40),
        "rating": np.arange(40) % 13,
        "response_tokens": np.arange(40) // 10 * 3 + 1,  # as many tokens in a cluster
    }
)
SCORES = pd.DataFrame(
    {"cluster": [2, 0, 1, 3], "score": [4.0, 3.0, 2.0, 1.0], "rank": [1, 2, 3, 4], "shapley": [0.1, 0.4, 0.2, 0.3]}
)
OF_ALL_TASKS = pd.Series(np.arange(40) / 10)
SIGNALS = pd.DataFrame({"id": CLUSTERS["id"], "longest": np.arange(40) % 7})


def rows_of(method: str, seed: int = 1, rows: int = 10) -> list[str]:
    return contend(method, CLUSTERS, SCORES, OF_ALL_TASKS, SIGNALS, rows, f=1.0, seed=seed, floor=0.5)


def test_a_signal_takes_its_best_rows_and_the_earlier_of_equals() -> None:
    assert rows_of("longest", rows=6) == ["r06", "r13", "r20", "r27", "r34", "r05"]


def test_qocs_takes_the_best_cluster_and_on_random_scores_a_random_one() -> None:
    assert {int(id[1:]) // 10 for id in rows_of("qocs")} == {2}
    by_chance = {int(rows_of("qocs_on_random_scores", seed)[0][1:]) // 10 for seed in range(12)}
    assert len(by_chance) > 2
    assert len(set(rows_of("qwcs_on_random_scores"))) == 10


def test_a_floor_keeps_every_source() -> None:
    clusters = CLUSTERS.assign(source=["a"] * 35 + ["b"] * 5)
    chosen = contend("qocs_by_source", clusters, SCORES, OF_ALL_TASKS, SIGNALS, 10, f=1.0, seed=1, floor=0.6)
    assert sum(int(id[1:]) >= 35 for id in chosen) == 3
    assert {int(id[1:]) // 10 for id in rows_of("qocs")} == {2}


def test_lengths_share_out_all_rows_for_samplers_and_for_signals() -> None:
    for method in ("top_by_length", "longest_by_length", "random_by_length", "qwcs_on_shapley_by_length"):
        assert np.bincount([int(id[1:]) // 10 for id in rows_of(method, rows=8)]).tolist() == [2, 2, 2, 2], method
    assert rows_of("top_by_length", rows=8)[:2] == ["r12", "r25"]
    assert set(rows_of("longest_by_length", rows=8)) == {"r06", "r05", "r13", "r12", "r20", "r27", "r34", "r33"}
    crossed = rows_of("top_by_source_and_length", rows=8)
    assert np.bincount([int(id[1:]) % 2 for id in crossed]).tolist() == [4, 4]
    assert np.bincount([int(id[1:]) // 10 for id in crossed]).tolist() == [2, 2, 2, 2]


def test_of_a_cluster_the_best_rated_rows_can_be_taken() -> None:
    chosen = rows_of("qocs_on_shapley_within_rating", rows=4)
    assert chosen == ["r09", "r08", "r07", "r06"]  # of the cluster with the best Shapley score
    assert (
        rows_of("qocs_on_shapley", rows=4) == ["r00", "r01", "r02", "r03"] == rows_of("qocs_on_shapley_within_nearest", rows=4)
    )
    drawn = rows_of("qwcs_on_shapley_within_rating")
    assert [int(id[1:]) // 10 for id in drawn] == [int(id[1:]) // 10 for id in rows_of("qwcs_on_shapley")]
    assert drawn != rows_of("qwcs_on_shapley")
    floored = rows_of("qocs_within_rating_by_source", rows=4)
    assert np.bincount([int(id[1:]) % 2 for id in floored]).min() >= 1


def test_ratings_by_all_tasks_can_replace_those_by_dev() -> None:
    assert rows_of("top", rows=3) == ["r12", "r25", "r38"]
    assert rows_of("top_on_all_tasks", rows=3) == ["r39", "r38", "r37"]
    assert {int(id[1:]) // 10 for id in rows_of("qocs_on_all_tasks")} == {3}
    clusters = CLUSTERS.assign(source=["a"] * 5 + ["b"] * 35)
    chosen = contend("qocs_on_all_tasks_by_source", clusters, SCORES, OF_ALL_TASKS, SIGNALS, 10, f=1.0, seed=1, floor=0.6)
    assert sum(int(id[1:]) < 5 for id in chosen) == 3
    assert sum(int(id[1:]) >= 30 for id in chosen) == 7


def test_a_cluster_without_rows_that_may_be_selected_does_not_move_the_others() -> None:
    """Of four clusters the second has no such rows: the last is still the best by ratings of all tasks."""
    table, of_all = CLUSTERS[CLUSTERS["cluster"] != 1].reset_index(drop=True), OF_ALL_TASKS[CLUSTERS["cluster"] != 1]
    chosen = contend("qocs_on_all_tasks", table, SCORES, of_all, SIGNALS, 10, f=1.0, seed=1, floor=0.5)
    assert {int(id[1:]) // 10 for id in chosen} == {3}


def test_shapley_scores_can_replace_mean_ratings() -> None:
    assert {int(id[1:]) // 10 for id in rows_of("qocs_on_shapley")} == {0}


def test_an_unknown_method_is_named_with_those_that_exist() -> None:
    with pytest.raises(ShedError, match=r"'longst' is unknown; take one of longest, top, qocs, qwcs, random, full"):
        rows_of("longst")
    with pytest.raises(ShedError, match=r"'top_on_shapley' is unknown.*_on_shapley \(of qocs and qwcs\)"):
        rows_of("top_on_shapley")
    for method in (
        "top_within_rating",
        "random_within_nearest",
        "longest_within_rating",
        "longest_on_shapley",
        "top_by_lengths",
    ):
        with pytest.raises(ShedError, match=f"'{method}' is unknown.*_by_length, .*qocs and qwcs with _within_random"):
            rows_of(method)
