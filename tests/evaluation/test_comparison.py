"""Gains over random rows: the sign, what an interval covers, what pairing buys, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.evaluation.comparison import compare, compare_by_task, compare_with_all, holm


def runs(
    effects: dict[str, float], seeds: int = 5, items: int = 60, noise: float = 0.1, seed: int = 0, between_seeds: float = 0.0
) -> pd.DataFrame:
    """Runs whose items differ much from one another and whose methods shift each item's nats by an effect; and a run all of
    its items by what its seed does."""
    rng = np.random.default_rng(seed)
    hardness = rng.normal(6, 3, size=items)
    rows = []
    for method, effect in effects.items():
        for s in range(seeds):
            nats = hardness + effect + rng.normal(0, noise, size=items) + rng.normal(0, between_seeds)
            rows.append(
                pd.DataFrame(
                    {
                        "method": method,
                        "fraction": 0.1,
                        "seed": s,
                        "task": [f"test_{'ab'[i % 2]}" for i in range(items)],
                        "id": [f"{i:03}" for i in range(items)],
                        "correct": (nats < 6).astype(float),
                        "nats": nats,
                        "tokens": 1,
                        "choice_nats": nats / 4,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def test_a_small_gain_shows_because_items_are_paired() -> None:
    items = runs({"random": 0.0, "better": -0.3, "worse": 0.3})
    table = compare(items, "test", "random").set_index("method")
    better, worse = table.loc["better"], table.loc["worse"]
    assert better["loss_gain"] == pytest.approx(0.3, abs=0.05)
    assert better["loss_gain_low"] > 0 > worse["loss_gain_high"]
    assert better["loss_p_holm"] < 0.01
    assert better["loss"] < table.loc["random", "loss"] < worse["loss"]
    assert np.isnan(table.loc["random", "loss_gain"])


def test_runs_in_any_order_give_the_same_table() -> None:
    items = runs({"random": 0.0, "better": -0.3})
    shuffled = items.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(compare(items, "test", "random"), compare(shuffled, "test", "random"))


@pytest.mark.parametrize("seeds", [3, 5])
def test_methods_without_an_effect_are_rarely_called_better(seeds: int) -> None:
    alarms = covered = 0
    for seed in range(200):
        items = runs({"random": 0.0, "same": 0.0}, seeds, items=20, noise=0.3, seed=seed, between_seeds=0.2)
        same = compare(items, "test", "random").set_index("method").loc["same"]
        alarms += bool(same["loss_p"] < 0.05)
        covered += bool(same["loss_gain_low"] <= 0 <= same["loss_gain_high"])
    assert alarms == 200 - covered <= 20  # 7 % are due of three seeds, 5 % of five, and 2 standard errors


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_have_gains_and_no_intervals(seeds: int) -> None:
    items = runs({"random": 0.0, "better": -0.3}, seeds)
    better = compare(items, "test", "random").set_index("method").loc["better"]
    assert better["loss_gain"] == pytest.approx(0.3, abs=0.05)
    assert better[["loss_gain_low", "loss_gain_high", "loss_p", "loss_p_holm"]].isna().all()


def test_runs_that_are_the_same_gain_nothing() -> None:
    same = runs({"random": 0.0})
    table = compare(pd.concat([same, same.assign(method="twin")]), "test", "random").set_index("method")
    assert list(table.loc["twin", ["loss_gain", "loss_gain_low", "loss_gain_high", "loss_p"]]) == [0.0, 0.0, 0.0, 1.0]


def test_holm_multiplies_the_smallest_p_value_most_and_keeps_the_order() -> None:
    corrected = holm(pd.Series([0.04, 0.01, np.nan, 0.03]))
    np.testing.assert_allclose(corrected, [0.06, 0.03, np.nan, 0.06])


def test_seeds_that_the_reference_lacks_are_refused() -> None:
    items = runs({"random": 0.0, "better": -0.3})
    with pytest.raises(ShedError, match="better and random were run with different seeds"):
        compare(items[~((items["method"] == "random") & (items["seed"] == 4))], "test", "random")


def test_a_task_without_options_counts_for_the_loss_alone() -> None:
    items = runs({"random": 0.0, "better": -0.3})
    free = items["task"] == "test_b"
    mixed = items.assign(**{name: items[name].where(~free) for name in ("correct", "choice_nats")})
    table, whole = (compare(one, "test", "random").set_index("method") for one in (mixed, items))
    assert table.loc["better", "loss_gain"] == whole.loc["better", "loss_gain"]
    own = items[~free & (items["method"] == "better")]["choice_nats"].mean()
    assert table.loc["better", "choice_loss"] == pytest.approx(own)
    assert table.loc["better", "accuracy_p"] <= 1.0
    none = compare(items.assign(correct=np.nan, choice_nats=np.nan), "test", "random")
    assert "accuracy" not in none
    assert "loss_gain" in none


def test_a_loss_on_one_task_shows_in_the_table_by_task() -> None:
    items = runs({"random": 0.0, "better": -0.3})
    lost = (items["method"] == "better") & (items["task"] == "test_b")
    items.loc[lost, "nats"] += 0.5
    table = compare_by_task(items, "test", "random").set_index(["task", "method"])
    assert table.loc[("a", "better"), "loss_gain_low"] > 0 > table.loc[("b", "better"), "loss_gain_high"]


def test_shares_are_compared_with_the_whole_pool_under_its_seeds() -> None:
    whole = runs({"full": 0.0}, seeds=3).assign(fraction=1.0)
    some = runs({"top": -0.3, "random": 0.3}, seeds=5)
    fewer = runs({"top": 0.3}, seeds=1).assign(fraction=0.05)
    table = compare_with_all(pd.concat([some, fewer, whole]), "test", "full").set_index(["method", "fraction"])
    assert list(table.index) == [("random", 0.1), ("top", 0.1)]
    assert list(table["seeds"]) == [3, 3]
    assert table.loc[("top", 0.1), "loss_gain_low"] > 0 > table.loc[("random", 0.1), "loss_gain_high"]
    assert compare_with_all(some, "test", "full").empty
