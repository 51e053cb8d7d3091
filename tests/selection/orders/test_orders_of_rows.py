"""Orders by embeddings: dev records take rows in turn, and near-duplicates come last."""

import numpy as np
import pytest

from shed.selection.model_signals import nearest_rank
from shed.selection.orders.distinct import distinct, repeated
from shed.selection.orders.round_robin import round_robin


def units(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def in_order(scores: np.ndarray) -> list[int]:
    return np.argsort(-scores, kind="stable").tolist()


def test_dev_records_take_their_nearest_unused_rows_in_turn() -> None:
    """Rows 0 to 3 are near the first dev record, in this order, and rows 4 and 5 are near the second."""
    angles = np.array([0.0, 0.02, 0.04, 0.06, 1.5, 1.4])
    states = units(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    dev = units(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert in_order(round_robin(states, dev)) == [0, 4, 1, 5, 2, 3]
    assert sorted(round_robin(states, dev)) == [-6, -5, -4, -3, -2, -1]


def test_a_row_that_is_near_to_all_dev_records_is_taken_once() -> None:
    states = units(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
    dev = units(np.array([[1.0, 0.9], [0.9, 1.0], [1.0, 1.0]]))
    assert in_order(round_robin(states, dev)) == [0, 2, 1]  # the third takes what the others have left
    assert in_order(nearest_rank(states, dev))[0] == 0


def test_as_many_rows_as_rounds_are_taken_for_each_dev_record() -> None:
    rng = np.random.default_rng(0)
    states, dev = units(rng.normal(size=(60, 5))), units(rng.normal(size=(7, 5)))
    order = in_order(round_robin(states, dev))
    left = set(range(60))
    for place, row in enumerate(order):  # as it is said in words
        cosines = {one: float(states[one] @ dev[place % 7]) for one in left}
        assert cosines[row] == max(cosines.values())
        left.remove(row)


def test_near_duplicates_come_last_and_the_first_of_them_stays() -> None:
    rng = np.random.default_rng(1)
    own = units(rng.normal(size=(20, 16)))
    copies = units(own[:5] + 0.01 * rng.normal(size=(5, 16)))
    rows = np.concatenate([own, copies])
    assert repeated(rows).tolist() == [False] * 20 + [True] * 5
    order = in_order(distinct(rows))
    assert order[20:] == [20, 21, 22, 23, 24]
    assert sorted(distinct(rows)) == list(range(-25, 0))


def test_a_row_is_compared_with_rows_that_stay() -> None:
    """The second is like the first, and the third like the second alone, which is out already."""
    angles = np.array([0.0, 0.4, 0.8])
    rows = units(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert repeated(rows).tolist() == [False, True, False]


def test_typical_rows_come_first_and_then_those_unlike_them() -> None:
    """Two bundles of rows that are alike, a large and a small one: the first row is of the large one, the second is not."""
    rng = np.random.default_rng(2)
    large = np.array([1.0, 0, 0, 0]) + 0.45 * rng.normal(size=(12, 4))
    small = np.array([0, 0, 1.0, 0]) + 0.45 * rng.normal(size=(4, 4))
    order = in_order(distinct(units(np.concatenate([large, small]))))
    assert order[0] < 12
    assert order[1] >= 12


@pytest.mark.parametrize("rows", [1, 2])
def test_the_smallest_pools_have_an_order(rows: int) -> None:
    own = np.eye(rows, 3, dtype=np.float32)
    assert sorted(distinct(own)) == list(range(-rows, 0))
    assert sorted(round_robin(own, own[:1])) == list(range(-rows, 0))
