"""Gains over random rows: the sign, what an interval covers, what pairing buys, and what is refused."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.evaluation.comparison import MEASURES, compare, compare_by_task, compare_with_all, holm, paired_gain


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
                        "written": np.clip(1 - nats / 12, 0, 1),
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


def without_effect(seeds: int, methods: int, by_seed: float, by_item: float, by_both: float) -> pd.DataFrame:
    """Methods that are as good as the reference, in each of the measures by draws of its own: a run differs from the reference's
    by what its seed does to all items, by what its rows do to an item under any seed, and by the rest; standard deviations."""
    rng = np.random.default_rng(seeds)
    names, runs, items = (place.ravel() for place in np.indices((methods + 1, seeds, 40)))
    tokens = rng.integers(1, 5, 40)

    def values(size: np.ndarray) -> np.ndarray:
        of_runs = rng.normal(0, by_seed, (methods, seeds, 1)) + rng.normal(0, by_both, (methods, seeds, 40))
        found = of_runs + rng.normal(0, by_item, (methods, 1, 40))
        return np.concatenate([np.zeros((1, seeds, 40)), found * size]).ravel()

    drawn = {"nats": values(tokens), **{name: values(np.ones(40)) for name in ("choice_nats", "correct", "written")}}
    named = {"method": np.where(names == 0, "random", names.astype(str)), "fraction": 1.0, "seed": runs, "id": items}
    return pd.DataFrame({**named, "task": np.where(items % 2, "test_a", "test_b"), "tokens": tokens[items], **drawn})


@cache
def said_of_random(seeds: int, methods: int, *spread: float) -> tuple[float, float]:
    """The shares of intervals that hold the true gain, 0, and of those above it, over all measures of methods without an effect."""
    table = compare(without_effect(seeds, methods, *spread), "test", "random").query("method != 'random'")
    low, high, p = (table[[f"{one}_{what}" for one in MEASURES]].to_numpy() for what in ("gain_low", "gain_high", "p"))
    covered = (low <= 0) & (high >= 0)
    assert (covered == (p > 0.05)).all()
    return float(covered.mean()), float((low > 0).mean())


EVEN, SEEDS, SEEDS_ALONE = (0.4, 0.8, 1.0), (1.0, 0.8, 1.0), (2.0, 0.8, 1.0)  # by seed, by item, by both


@pytest.mark.parametrize(
    ("seeds", "methods", "spread"),
    [
        (3, 300, (0.1, 0.8, 1.0)),
        (3, 300, (0.2, 0.8, 0.0)),
        (3, 2000, EVEN),
        (3, 2000, SEEDS),
        (3, 2000, SEEDS_ALONE),
        (5, 300, (0.1, 0.8, 1.0)),
        (5, 300, EVEN),
        (5, 300, SEEDS_ALONE),
        (30, 200, (0.7, 0.8, 0.0)),  # nothing is in both
        (30, 200, (0.1, 0.0, 1.0)),  # much is, and counts once
    ],
)
def test_an_interval_holds_the_true_gain_in_95_of_100_comparisons_and_random_rows_are_better_in_3(
    seeds: int, methods: int, spread: tuple[float, float, float]
) -> None:
    covered, better = said_of_random(seeds, methods, *spread)
    error = np.sqrt(0.05 * 0.95 / (methods * len(MEASURES)))
    assert 0.93 - error < covered < 0.97 + error
    assert better < 0.03 + 2 * np.sqrt(0.03 * 0.97 / (methods * len(MEASURES)))


def test_three_seeds_that_differ_as_much_as_items_do_are_enough_for_94_of_100() -> None:
    """Satterthwaite's own degrees of freedom give 93, and so do variances that are added without what is in both."""
    assert np.mean([said_of_random(3, 2000, *spread)[0] for spread in (EVEN, SEEDS, SEEDS_ALONE)]) > 0.944


def test_a_true_gain_moves_an_interval_and_changes_nothing_else() -> None:
    rng = np.random.default_rng(0)
    size, task = rng.integers(1, 9, 40), np.arange(40) % 2
    without = rng.normal(size=(5, 3, 40)) * size
    found, moved = paired_gain(without, size, task), paired_gain(without + 0.7 * size, size, task)
    for before, after in zip(found[:3], moved[:3], strict=True):
        np.testing.assert_allclose(after, before + 0.7)


def test_many_comparisons_at_once_are_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    size, task = rng.integers(1, 9, 40), np.arange(40) % 2
    many = rng.normal(size=(2, 3, 4, 40))
    many[1, 2] = 0.0  # nothing differs
    at_once = paired_gain(many, size, task)
    for place in np.ndindex(2, 3):
        alone = paired_gain(many[place], size, task)
        np.testing.assert_allclose([one[place] for one in at_once], alone)
    assert [float(one[1, 2]) for one in at_once[:4]] == [0.0, 0.0, 0.0, 1.0]


def test_where_seeds_and_rows_do_nothing_of_their_own_an_interval_is_too_long_and_never_too_short() -> None:
    covered, better = said_of_random(3, 300, 0.0, 0.0, 1.0)
    assert covered > 0.97
    assert better < 0.02


def test_an_error_is_not_smaller_than_seeds_alone_or_the_items_of_all_tasks_alone_make_it() -> None:
    items = without_effect(3, 100, 0.0, 0.8, 1.0)
    table = compare(items, "test", "random").set_index("method")
    reach = (table["choice_loss_gain_high"] - table["choice_loss_gain"]).drop("random")
    of_method = items.groupby("method")
    of_seeds = of_method.apply(lambda own: own.groupby("seed")["choice_nats"].mean().var() / 3)
    of_items = of_method.apply(
        lambda own: own.groupby(["task", "id"])["choice_nats"].mean().groupby("task").var().sum() / 20 / 4
    )
    assert (reach > 1.96 * np.sqrt(np.maximum(of_seeds, of_items)[reach.index])).all()


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


def test_more_of_the_expected_text_is_a_gain_and_items_without_an_answer_do_not_count() -> None:
    items = runs({"random": 0.0, "better": -0.3})
    some = items.assign(written=items["written"].where(items["id"] < "020"))
    table = compare(some, "test", "random").set_index("method")
    of_better = some[some["method"] == "better"].dropna(subset="written")
    assert table.loc["better", "generation"] == pytest.approx(of_better.groupby("task")["written"].mean().mean())
    assert table.loc["better", "generation_gain_low"] > 0
    assert table.loc["better", "generation_gain"] == pytest.approx(0.3 / 12, rel=0.3)
    of_all = compare(items, "test", "random").set_index("method")
    assert table.loc["better", "loss_gain"] == of_all.loc["better", "loss_gain"]


def test_a_task_that_is_scored_by_what_is_written_has_no_loss() -> None:
    items = runs({"random": 0.0, "better": -0.3})
    alone = items["task"] == "test_b"
    items.loc[alone, ["correct", "nats", "tokens", "choice_nats"]] = np.nan
    by_task = compare_by_task(items, "test", "random").set_index(["task", "method"])
    assert by_task.loc[("b", "better"), "generation_gain_low"] > 0
    assert np.isnan(by_task.loc[("b", "better"), "loss"])
    whole = compare(items, "test", "random").set_index("method")
    assert whole.loc["better", "loss_gain"] == by_task.loc[("a", "better"), "loss_gain"]
    only = compare(items[alone], "test", "random")
    assert only["method"].tolist() == ["better", "random"]  # best first
    assert "loss" not in only


def test_items_of_runs_from_before_answers_were_written_are_compared_in_the_rest() -> None:
    items = runs({"random": 0.0, "better": -0.3})
    table = compare(items.drop(columns="written"), "test", "random")
    assert "generation" not in table
    expected = compare(items, "test", "random")
    pd.testing.assert_frame_equal(table, expected[table.columns])


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


@pytest.mark.parametrize("other", [{0, 1, 2, 3}, {0, 1}, {1, 2, 3}, {5, 6, 7}])
def test_runs_of_other_seeds_are_not_compared(other: set[int]) -> None:
    items = runs({"random": 0.0, "top": -0.3}, seeds=8)
    kept = items["seed"].isin({0, 1, 2}).where(items["method"] == "top", items["seed"].isin(other))
    with pytest.raises(ShedError, match=r"top and random were run with different seeds at 0\.1"):
        compare(items[kept], "test", "random")
