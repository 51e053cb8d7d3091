"""Exact values by subsets equal the definition by orders; regression reaches them with far fewer evaluations than removal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from table_game import TableGame, games

from shed.errors import ShedError
from shed.valuation.exact import exact
from shed.valuation.regression import regression
from shed.valuation.removal import removal


class NoisyGame:
    """Forty players with additive and pairwise effects, so that the Shapley values are known, and noise that a coalition keeps."""

    players = 40

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self._single = rng.standard_normal(self.players)
        pair = np.triu(rng.standard_normal((self.players, self.players)), 1) / 8
        self._pair = pair
        self.shapley = self._single + (pair.sum(axis=0) + pair.sum(axis=1)) / 2
        self.asked = 0

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        self.asked += len(coalitions)
        noise = [np.random.default_rng(list(np.packbits(coalition))).normal(0, 0.3) for coalition in coalitions]
        return coalitions @ self._single + np.einsum("mi,ij,mj->m", coalitions, self._pair, coalitions) + np.array(noise)


@given(games)
def test_exact_is_the_mean_over_all_orders(game: TableGame) -> None:
    np.testing.assert_allclose(exact(game).scores, game.exact(), atol=1e-9)


def test_exact_refuses_what_would_take_for_ever() -> None:
    game = TableGame(np.zeros(2))
    game.players = 13
    with pytest.raises(ShedError, match="exact takes at most 12 players, and the game has 13"):
        exact(game)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.integers(0, 99))
def test_regression_is_exact_on_additive_games(values: list[float], seed: int) -> None:
    additive = TableGame(np.array([sum(v for i, v in enumerate(values) if s >> i & 1) for s in range(2 ** len(values))]))
    np.testing.assert_allclose(regression(additive, 60, seed).scores, values, atol=1e-3)


def test_regression_converges_to_exact_values_and_keeps_their_sum() -> None:
    game = TableGame(np.random.default_rng(1).standard_normal(64))
    estimate = regression(game, 6002, seed=0)
    assert (np.abs(estimate.scores - exact(game).scores) < 4 * estimate.stderr).all()
    assert estimate.stderr.max() < 0.05
    assert estimate.scores.sum() == pytest.approx(estimate.v_all - estimate.v_none)


def test_at_a_fifth_of_the_evaluations_regression_is_at_least_as_good_as_removal() -> None:
    game = NoisyGame()
    few = regression(game, 5 * game.players + 2, seed=0)
    many = removal(NoisyGame(), n=1, k=26, seed=0)
    agreement = [spearmanr(estimate.scores, game.shapley).statistic for estimate in (few, many)]
    assert many.evaluations >= 4.8 * few.evaluations
    assert agreement[0] >= agreement[1] - 0.005
    assert agreement[0] > 0.95


def test_its_standard_errors_are_of_the_size_of_its_errors() -> None:
    game = NoisyGame()
    estimates = [regression(game, 402, seed) for seed in range(5)]
    errors = np.array([estimate.scores - game.shapley for estimate in estimates])
    assert np.sqrt((errors**2).mean()) == pytest.approx(np.mean([estimate.stderr.mean() for estimate in estimates]), rel=0.3)


def test_with_few_evaluations_it_shrinks_and_says_so() -> None:
    estimate = regression(NoisyGame(), 42, seed=0)
    assert len(estimate.notes) == 1
    assert estimate.notes[0].startswith(
        "42 evaluations for 40 players are fewer than 200: scores are shrunk towards equal shares, by"
    )
    assert regression(NoisyGame(), 202, seed=0).notes == ()


def test_more_evaluations_add_to_fewer() -> None:
    few, many = (TableGame(np.arange(256.0)) for _ in range(2))
    regression(few, 20, seed=3)
    regression(many, 40, seed=3)
    assert few.asked < many.asked


def test_a_budget_that_is_too_small_says_how_large_it_must_be() -> None:
    with pytest.raises(ShedError, match=r"score\.evaluations is 8; regression needs at least 12"):
        regression(TableGame(np.arange(8.0)), 8, seed=0)
