"""Pairs of coalitions: none twice, sizes alike, and in the end all of them."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed.valuation.estimators.paired_coalitions import draw, undrawn, weights
from shed.valuation.game import Weighting


@pytest.mark.parametrize("weighting", ["shapley", "banzhaf"])
@given(players=st.integers(2, 9), seed=st.integers(0, 99))
def test_in_the_end_every_coalition_is_drawn_once_itself_or_as_a_complement(
    players: int, seed: int, weighting: Weighting
) -> None:
    drawn = np.array(list(draw(players, seed, weighting)))
    both = {one.tobytes() for one in np.concatenate([drawn, ~drawn])}
    assert len(both) == 2 * len(drawn) == 2**players - 2 * (weighting == "shapley")
    assert undrawn(drawn.sum(axis=1), players, weighting) == pytest.approx(0, abs=1e-12)


@given(players=st.integers(2, 9), seed=st.integers(0, 99))
def test_in_the_end_every_size_counts_alike(players: int, seed: int) -> None:
    sizes = np.array([one.sum() for one in draw(players, seed, "shapley")])
    counted = np.bincount(np.minimum(sizes, players - sizes), weights(sizes, players))[1:]
    if players % 2 == 0:
        counted[-1] *= 2  # the middle size is its own complement
    np.testing.assert_allclose(counted, counted[0])


def test_few_of_many_pairs_are_of_all_sizes_and_count_alike() -> None:
    sizes = np.array([one.sum() for one in islice(draw(60, 0, "shapley"), 590)])
    assert set(sizes) == set(range(1, 60))
    assert np.ptp(np.bincount(sizes)[1:]) <= 3
    np.testing.assert_allclose(weights(sizes, 60), 1)
    assert undrawn(sizes, 60, "shapley") > 0.97


def test_a_size_with_few_pairs_counts_for_more_once_they_are_drawn() -> None:
    sizes = np.array([one.sum() for one in islice(draw(8, 0, "shapley"), 60)])
    alone = np.isin(sizes, [1, 7])
    assert alone.sum() == 8
    assert weights(sizes, 8)[alone].min() > weights(sizes, 8)[~alone].max() == pytest.approx(1)
