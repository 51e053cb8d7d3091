"""Dev may be of several tasks: each has its share of utility, however many records it has."""

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.data.tasks.combining import Combine, check_worst
from shed.data.tasks.dev_tasks import DevTask, check_records, from_file, shares, spread, to_file
from shed.data.tasks.weights import task_weights, worst_weights


def dev(sources: str) -> list[Record]:
    """A record for each letter, which is its source."""
    return [single_turn(f"q{n}", "a", source, f"line {n}") for n, source in enumerate(sources)]


def tasks(**weights: float) -> dict[str, DevTask]:
    return {name: DevTask(**{"from": f"{name}.jsonl", "weight": weight}) for name, weight in weights.items()}


def mean_of_means(sources: str, values: np.ndarray, sizes: np.ndarray, of: Mapping[str, float]) -> float:
    """The weighted mean over tasks of Σ value / Σ size, as one would write it down."""
    places = {name: [n for n, source in enumerate(sources) if source == name] for name in of}
    return sum(share * values[places[name]].sum() / sizes[places[name]].sum() for name, share in of.items() if share)


@given(st.text("abc", min_size=1, max_size=30), st.tuples(*[st.integers(0, 5)] * 3), st.integers(0, 2**32 - 1))
def test_weights_make_a_sum_the_weighted_mean_of_the_tasks_own_means(
    sources: str, given_weights: tuple[int, int, int], seed: int
) -> None:
    named = {name: weight for name, weight in zip("abc", given_weights, strict=True) if name in sources}
    if not any(named.values()):
        return
    of, rng = shares(tasks(**named)), np.random.default_rng(seed)
    values, sizes = rng.normal(size=len(sources)), rng.uniform(1, 9, len(sources))
    weights = task_weights(dev(sources), of)
    assert weights @ values == pytest.approx(mean_of_means(sources, values, np.ones(len(sources)), of))
    weights = task_weights(dev(sources), of, sizes.tolist())
    assert weights @ values == pytest.approx(mean_of_means(sources, values, sizes, of))
    assert weights @ sizes == pytest.approx(1)


def test_without_tasks_all_records_are_of_one() -> None:
    assert task_weights(dev("abca"), {}).tolist() == [0.25] * 4
    assert task_weights(dev("ab"), {}, [1, 3]).tolist() == [0.25] * 2  # nats over all response tokens, as without weights
    assert shares({}) == {}


def test_a_task_that_counts_and_is_not_measured_is_refused_and_one_that_does_not_count_is_not() -> None:
    of = shares(tasks(a=3, b=1, c=0))
    assert of == {"a": 0.75, "b": 0.25, "c": 0.0}
    assert task_weights(dev("aab"), of).tolist() == [0.375, 0.375, 0.25]
    with pytest.raises(ShedError, match="^the dev task b has none of the 2 dev records that are measured") as error:
        task_weights(dev("aa"), of)
    assert error.value.setting == "rows of dev"
    with pytest.raises(ShedError, match="of the task d, which has no weight"):
        task_weights(dev("abd"), of)


def test_a_task_without_records_is_refused() -> None:
    check_records(tasks(a=1, b=1), dev("ab"))
    with pytest.raises(ShedError, match=r"^the dev task b \(b\.jsonl\) has no usable record") as error:
        check_records(tasks(a=1, b=0), dev("aa"))
    assert error.value.setting == "records of dev"


@given(st.text("abc", min_size=1, max_size=40))
def test_every_beginning_of_dev_has_of_each_task_about_its_part(sources: str) -> None:
    records = dev(sources)
    ordered = spread(records)
    assert sorted(record.id for record in ordered) == sorted(record.id for record in records)
    for name in set(sources):
        own = [record.id for record in ordered if record.source == name]
        assert own == [record.id for record in records if record.source == name]
        for end in range(1, len(ordered) + 1):
            there = sum(record.source == name for record in ordered[:end])
            assert abs(there - end * sources.count(name) / len(sources)) <= len(set(sources)) / 2


@given(st.text("abc", min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_for_the_worst_task_each_task_has_its_own_mean(sources: str, seed: int) -> None:
    """Of the tasks a and b; c is measured and does not count."""
    if not {"a", "b"} <= set(sources):
        return
    rng = np.random.default_rng(seed)
    values, sizes = rng.normal(size=len(sources)), rng.uniform(1, 9, len(sources))
    weights, places = worst_weights(dev(sources), {"a": 1.0, "b": 1.0, "c": 0.0}, sizes.tolist())
    for place, name in enumerate("ab"):
        own = [n for n, source in enumerate(sources) if source == name]
        assert set(own) <= set(np.flatnonzero(places == place))
        assert (weights * values)[places == place].sum() == pytest.approx(values[own].sum() / sizes[own].sum())


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({}, "^the worst of several dev tasks is asked for, but dev is not made of named tasks; name two tasks at least"),
        ({"a": 2.0, "b": 0.0}, "^the worst of several dev tasks is asked for, but a alone counts; name two"),
        ({"a": 2.0, "b": 1.0, "c": 0.0}, "^the worst of the dev tasks a, b is asked for, .*; give each the weight 1, or 0"),
    ],
)
def test_the_worst_is_of_two_tasks_at_least_that_weigh_the_same(of: dict[str, float], said: str) -> None:
    with pytest.raises(ShedError, match=said) as error:
        check_worst(of)
    assert error.value.setting == "combination of dev tasks"
    check_worst({"a": 0.25, "b": 0.25, "c": 0.0})


@pytest.mark.parametrize("combine", ["mean", "worst"])
def test_the_file_of_devs_tasks_says_how_they_are_combined_whatever_they_are_called(combine: Combine) -> None:
    for own in (tasks(worst=1, mean=1), tasks(a=2, b=2, c=0), tasks(worst=1)):
        assert from_file(json.loads(json.dumps(to_file(own, combine)))) == (shares(own), combine)
    assert from_file(to_file({}, "mean")) == ({}, "mean")
