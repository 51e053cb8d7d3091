"""Parts of a computation on cores of their own."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shed.models.parallel import Cores

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_parts_each_computed_on_one_core() -> None:
    found = Cores(CPU).map(lambda part: (part, torch.get_num_threads()), range(20))
    assert found == [(part, 1) for part in range(20)]
    assert torch.get_num_threads() == 3


def test_a_part_that_fails_fails_the_whole_and_gives_the_cores_back() -> None:
    with pytest.raises(ZeroDivisionError):
        Cores(CPU).map(lambda part: 1 // part, [1, 0, 2])
    assert torch.get_num_threads() == 3


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40), most=st.none() | st.integers(1, 200))
def test_shares_keep_the_order_and_hold_about_as_many_tokens_each_and_no_more_than_asked(
    lengths: list[int], most: int | None
) -> None:
    groups = Cores(CPU).share(range(len(lengths)), np.array(lengths), most)
    assert [i for group in groups for i in group] == list(range(len(lengths)))
    assert len(groups) <= 3 * (1 if most is None else math.ceil(sum(lengths) / (3 * most)))
    equal = sum(lengths) / 3
    limit = max(lengths) + (equal if most is None else min(most, equal))
    assert all(len(group) == 1 or sum(lengths[i] for i in group) <= limit for group in groups)


def test_a_single_part_has_all_cores() -> None:
    assert Cores(CPU).map(lambda part: torch.get_num_threads(), [1]) == [3]


def test_nothing_is_shared_into_nothing() -> None:
    assert Cores(CPU).share([], np.array([3])) == []
