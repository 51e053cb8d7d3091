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


def test_ratings_by_all_tasks_can_replace_those_by_dev() -> None:
    assert rows_of("top", rows=3) == ["r12", "r25", "r38"]
    assert rows_of("top_on_all_tasks", rows=3) == ["r39", "r38", "r37"]
    assert {int(id[1:]) // 10 for id in rows_of("qocs_on_all_tasks")} == {3}
    clusters = CLUSTERS.assign(source=["a"] * 5 + ["b"] * 35)
    chosen = contend("qocs_on_all_tasks_by_source", clusters, SCORES, OF_ALL_TASKS, SIGNALS, 10, f=1.0, seed=1, floor=0.6)
    assert sum(int(id[1:]) < 5 for id in chosen) == 3
    assert sum(int(id[1:]) >= 30 for id in chosen) == 7


def test_shapley_scores_can_replace_mean_ratings() -> None:
    assert {int(id[1:]) // 10 for id in rows_of("qocs_on_shapley")} == {0}


def test_an_unknown_method_is_named_with_those_that_exist() -> None:
    with pytest.raises(ShedError, match=r"'longst' is unknown; take one of longest, top, qocs, qwcs, random, full"):
        rows_of("longst")
    with pytest.raises(ShedError, match=r"'top_on_shapley' is unknown.*_on_shapley \(of qocs and qwcs\)"):
        rows_of("top_on_shapley")
