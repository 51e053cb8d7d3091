"""What a coalition's size alone does to utility is no player's merit, and regression does not take it for one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_game import Fixed, TableGame, last

from shed.valuation.estimate import rank_correlation
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.size_baseline import terms, worth
from shed.valuation.game import Weighting

Curve = Callable[[np.ndarray], np.ndarray]


class CurvedGame:
    """Utility is a curve of the sum of the members' worths, and noise that a coalition keeps."""

    def __init__(self, worths: np.ndarray, curve: Curve, noise: float = 0.0, seed: int = 0) -> None:
        self.players = len(worths)
        self._worths, self._curve, self._noise, self._seed = worths, curve, noise, seed

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        rngs = [np.random.default_rng([self._seed, *np.packbits(one > 0)]) for one in coalitions]
        return self._curve(coalitions @ self._worths) + self._noise * np.array([rng.standard_normal() for rng in rngs])

    def shapley(self, orders: int = 2000) -> np.ndarray:
        rng = np.random.default_rng(9)
        total = np.zeros(self.players)
        for _ in range(orders):
            order = rng.permutation(self.players)
            total[order] += np.diff(self._curve(np.concatenate([[0.0], np.cumsum(self._worths[order])])))
        return total / orders


def a_symmetric_game(by_size: list[float]) -> TableGame:
    return TableGame(np.array([by_size[number.bit_count()] for number in range(2 ** (len(by_size) - 1))]))


@settings(max_examples=20)
@given(st.lists(st.floats(-10, 10), min_size=9, max_size=9), st.integers(0, 99))
def test_where_only_size_counts_all_have_equal_shares_after_few_evaluations(by_size: list[float], seed: int) -> None:
    estimate = last(Regression(seed), a_symmetric_game(by_size), 34)
    np.testing.assert_allclose(estimate.scores, (by_size[-1] - by_size[0]) / 8, atol=1e-6)


def test_a_smooth_curve_over_sixty_players_is_seen_through_with_less_than_one_evaluation_a_player() -> None:
    smooth = CurvedGame(np.ones(60), lambda size: 1 - (1 - size / 60) ** 5)
    np.testing.assert_allclose(last(Regression(seed=0), smooth, 52).scores, 1 / 60, atol=1e-9)


@settings(max_examples=20)
@given(st.floats(0.1, 10), st.floats(-10, 10), st.integers(0, 99))
def test_scores_follow_the_unit_and_the_origin_of_utility(unit: float, origin: float, seed: int) -> None:
    worths = np.random.default_rng(1).random(8)
    plain, other = (
        last(Regression(seed), CurvedGame(worths, curve), 40) for curve in (np.sqrt, lambda s: origin + unit * np.sqrt(s))
    )
    np.testing.assert_allclose(other.scores, unit * plain.scores, atol=1e-6)
    np.testing.assert_allclose(other.stderr, unit * plain.stderr, atol=1e-6)


@settings(max_examples=20)
@given(st.integers(6, 126), st.integers(0, 99))
def test_scores_sum_to_what_all_are_worth_whatever_the_budget(pairs: int, seed: int) -> None:
    game = TableGame(np.random.default_rng(seed).standard_normal(256))
    estimate = last(Regression(seed), game, 2 * pairs)
    assert estimate.scores.sum() == pytest.approx(game.utilities[-1] - game.utilities[0], abs=1e-9)


def test_in_a_game_of_diminishing_returns_it_ranks_players_better_than_orders_do() -> None:
    agreement: dict[str, list[float]] = {"regression": [], "orders": [], "removal": []}
    for seed in range(3):
        game = CurvedGame(np.random.default_rng([7, seed]).random(30), np.sqrt)
        truth = game.shapley()
        for name, estimator in {
            "regression": Regression(seed), "orders": Permutation(seed), "removal": Removal(n=1, k=100, seed=seed)
        }.items():  # fmt: skip
            agreement[name].append(rank_correlation(last(estimator, game, 300).scores, truth))
    mean = {name: np.mean(found) for name, found in agreement.items()}
    assert mean["regression"] > 0.96
    assert mean["regression"] >= max(mean["orders"], mean["removal"])


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("weighting", ["shapley", "banzhaf"])
def test_standard_errors_cover_what_the_curve_leaves(noise: float, weighting: Weighting) -> None:
    """The curve and the scores are fitted to the same few pairs, which the errors must allow for."""
    worths = np.random.default_rng(3).random(20)
    truth = CurvedGame(worths, np.sqrt).shapley() if weighting == "shapley" else banzhaf(worths, np.sqrt)
    inside, ratios = [], []
    for seed in range(15):
        estimate = last(Regression(seed, weighting), CurvedGame(worths, np.sqrt, noise, seed), 162)
        errors = np.abs(estimate.scores - truth)
        inside.append(errors < 1.96 * estimate.stderr)
        ratios.append(np.sqrt(np.square(errors).mean()) / np.sqrt(np.square(estimate.stderr).mean()))
    assert np.mean(inside) > 0.92
    assert np.mean(ratios) > 0.5  # they are not so wide as to say nothing


def banzhaf(worths: np.ndarray, curve: Curve) -> np.ndarray:
    drawn = np.random.default_rng(9).random((20_000, len(worths))) < 0.5
    others = (drawn @ worths)[:, None] - drawn * worths
    mean: np.ndarray = (curve(others + worths) - curve(others)).mean(axis=0)
    return mean


def test_a_surrogate_and_the_curve_are_fitted_together() -> None:
    """A surrogate that is right up to its scale leaves nothing to the penalty, whatever the curve and the curve's noise."""
    worths = np.random.default_rng(5).random(30)
    game = CurvedGame(worths, np.sqrt)
    truth = game.shapley()
    errors = [
        np.abs(last(Regression(seed, surrogate=surrogate), game, 62).scores - truth).mean()
        for surrogate in (None, Fixed(3 * truth - 1))
        for seed in range(3)
    ]
    assert np.mean(errors[3:]) < 0.5 * np.mean(errors[:3])


@given(st.integers(2, 8))
def test_what_a_term_is_worth_is_the_value_of_the_game_that_it_is(players: int) -> None:
    curves = terms(np.arange(players + 1), players, "shapley").T, terms(np.arange(players + 1), players, "banzhaf").T
    for shapley, worth_of_it in zip(curves[0], worth(players, "shapley"), strict=True):
        np.testing.assert_allclose(last(Exact(), a_symmetric_game(shapley.tolist())).scores, worth_of_it, atol=1e-12)
    for by_coins, worth_of_it in zip(curves[1], worth(players, "banzhaf"), strict=True):
        game = a_symmetric_game(by_coins.tolist())
        rises = game.utilities[1::2] - game.utilities[::2]  # of the first player, over all coalitions of the others
        assert rises.mean() == pytest.approx(worth_of_it, abs=1e-12)
