"""The rows that a selection is compared with: as many, or with as many response tokens, in one random order of the pool."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed.data.records import Record, single_turn
from shed.selection.controls import random_rows, random_tokens
from shed.selection.sampling import Size, select


def pool_of(lengths: list[int]) -> list[Record]:
    """Records whose responses are of these lengths, in words."""
    return [single_turn(f"question {i}", " ".join(["word"] * n), "web", f"row {i}") for i, n in enumerate(lengths)]


def words(record: Record) -> int:
    return len(record.response.split())


def costs(pool: list[Record]) -> np.ndarray:
    return np.array(list(map(words, pool)))


pools = st.lists(st.integers(1, 30), min_size=2, max_size=40).map(pool_of)
seeds = st.integers(0, 2**31)


@given(pools, st.data(), seeds)
def test_random_rows_are_as_many_none_twice_and_those_of_the_sampler_random(
    pool: list[Record], data: st.DataObject, seed: int
) -> None:
    rows = data.draw(st.integers(1, len(pool)))
    control = [record.id for record in random_rows(pool, rows, seed)]
    assert len(control) == len(set(control)) == rows
    clusters = pd.DataFrame({"id": [record.id for record in pool], "source": "web", "cluster": 0, "distance": 0.0})
    scores = pd.DataFrame({"cluster": [0], "score": [0.5], "rank": [1]})
    assert control == select(clusters, scores, "random", Size(rows), 1.0, seed)["id"].tolist()


@given(pools, st.integers(1, 1500), seeds)
def test_random_tokens_are_the_first_of_the_same_rows_whose_sum_is_nearest(pool: list[Record], tokens: int, seed: int) -> None:
    control, order = random_tokens(pool, costs(pool), tokens, seed), random_rows(pool, len(pool), seed)
    assert control == order[: len(control)]
    sums = pd.Series([words(record) for record in order]).cumsum()
    assert abs(sum(map(words, control)) - tokens) == (sums - tokens).abs().min()


@given(pools, st.data(), seeds)
def test_a_selections_control_misses_its_tokens_by_half_of_the_longest_response_at_most(
    pool: list[Record], data: st.DataObject, seed: int
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(pool), min_size=1, unique_by=lambda record: record.id))
    tokens = sum(map(words, chosen))
    control = random_tokens(pool, costs(pool), tokens, seed)
    assert len({record.id for record in control}) == len(control) <= len(pool)
    if len(control) > 1:
        assert abs(sum(map(words, control)) - tokens) <= max(map(words, pool)) / 2


@given(st.integers(2, 40), st.integers(1, 30), st.data(), seeds)
def test_both_controls_are_the_same_rows_where_responses_are_equally_long(
    size: int, length: int, data: st.DataObject, seed: int
) -> None:
    rows = data.draw(st.integers(1, size))
    pool = pool_of([length] * size)
    assert random_tokens(pool, costs(pool), rows * length, seed) == random_rows(pool, rows, seed)


def test_more_tokens_than_the_pool_has_take_the_pool() -> None:
    pool = pool_of([3, 1, 2])
    assert sorted(map(words, random_tokens(pool, costs(pool), 100, 1))) == [1, 2, 3]


@pytest.mark.parametrize("tokens", [1, 9])
def test_a_pool_of_two_rows_gives_either_row(tokens: int) -> None:
    pool = pool_of([1, 9])
    drawn = [random_rows(pool, 1, seed) for seed in range(20)]
    assert {words(record) for (record,) in drawn} == {1, 9}
    for seed, rows in enumerate(drawn):
        control = random_tokens(pool, costs(pool), tokens, seed)
        assert control[:1] == rows  # one row at least, however long it is
        assert len(control) == (2 if tokens == 9 and words(rows[0]) == 1 else 1)
