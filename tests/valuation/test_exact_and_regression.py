"""Exact values by subsets equal the definition by orders; regression reaches them with far fewer evaluations than removal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from table_game import Fixed, TableGame, games, last, play

from shed.common.errors import ShedError
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.ridge import Problem


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
        pairs = np.einsum("mi,ij,mj->m", coalitions, self._pair, coalitions)
        values: np.ndarray = coalitions @ self._single + pairs + np.array(noise)
        return values


@given(games)
def test_exact_is_the_mean_over_all_orders(game: TableGame) -> None:
    np.testing.assert_allclose(last(Exact(), game).scores, game.exact(), atol=1e-9)


def test_exact_refuses_more_than_twelve_players() -> None:
    game = TableGame(np.zeros(2))
    game.players = 13
    with pytest.raises(ShedError, match="exact takes at most 12 players, and the game has 13"):
        last(Exact(), game)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.integers(0, 99))
def test_regression_is_exact_on_additive_games(values: list[float], seed: int) -> None:
    additive = TableGame(np.array([sum(v for i, v in enumerate(values) if s >> i & 1) for s in range(2 ** len(values))]))
    np.testing.assert_allclose(last(Regression(seed), additive, 60).scores, values, atol=1e-3)


def test_with_half_of_all_coalitions_it_is_within_its_standard_errors_and_keeps_the_sum() -> None:
    game = TableGame(np.random.default_rng(1).standard_normal(1024))
    estimate = last(Regression(seed=0), game, 512)
    assert (np.abs(estimate.scores - last(Exact(), game).scores) < 4 * estimate.stderr).all()
    assert estimate.scores.sum() == pytest.approx(estimate.v_all - estimate.v_none)


@given(games.filter(lambda game: game.players > 1), st.integers(0, 99))
def test_with_all_coalitions_it_is_exact_and_done(game: TableGame, seed: int) -> None:
    outcome = play(Regression(seed), game)
    np.testing.assert_allclose(outcome.estimate.scores, game.exact(), atol=1e-9)
    assert (outcome.estimate.stderr == 0).all()
    assert (outcome.cost.evaluations, outcome.ended) == (2**game.players, "all its rounds are done")


def test_with_all_coalitions_a_player_who_adds_nothing_has_nothing_and_two_alike_have_the_same() -> None:
    game = TableGame(np.zeros(64))
    for number in range(64):
        ones = number & 0b1111  # the last two players add nothing
        twins = bin(ones & 0b11).count("1")  # the first two are alike
        game.utilities[number] = np.sin(3 * twins + 5 * (ones >> 2))
    first, second, *_, last_but_one, last_of_all = last(Regression(seed=0), game).scores
    assert first == pytest.approx(second)
    np.testing.assert_allclose([last_but_one, last_of_all], 0, atol=1e-12)


def test_at_a_fifth_of_the_evaluations_regression_is_at_least_as_good_as_removal() -> None:
    game = NoisyGame()
    few = play(Regression(seed=0), game, 5 * game.players + 2)
    many = play(Removal(n=1, k=26, seed=0), NoisyGame())
    agreement = [spearmanr(outcome.estimate.scores, game.shapley).statistic for outcome in (few, many)]
    assert many.cost.evaluations >= 4.8 * few.cost.evaluations
    assert agreement[0] >= agreement[1] - 0.005
    assert agreement[0] > 0.95


@pytest.mark.parametrize("evaluations", [12, 42, 102, 202, 402])
def test_its_standard_errors_are_as_large_as_its_errors(evaluations: int) -> None:
    game = NoisyGame()
    estimates = [last(Regression(seed), game, evaluations) for seed in range(5)]
    errors = np.array([estimate.scores - game.shapley for estimate in estimates])
    assert np.sqrt((errors**2).mean()) == pytest.approx(np.mean([estimate.stderr.mean() for estimate in estimates]), rel=0.5)


def test_with_few_evaluations_it_shrinks_and_says_so() -> None:
    estimate = last(Regression(seed=0), NoisyGame(), 42)
    assert len(estimate.notes) == 1
    assert estimate.notes[0].startswith(
        "42 evaluations for 40 players are fewer than 200: scores are shrunk towards equal shares, by"
    )
    assert last(Regression(seed=0), NoisyGame(), 202).notes == ()


def test_more_evaluations_add_to_fewer() -> None:
    few, many = (TableGame(np.arange(256.0)) for _ in range(2))
    last(Regression(seed=3), few, 20)
    last(Regression(seed=3), many, 40)
    assert few.asked < many.asked


def test_the_whole_budget_is_used_and_an_odd_one_is_rounded_down() -> None:
    for evaluations in (12, 37, 64):
        assert play(Regression(seed=0), NoisyGame(), evaluations).cost.evaluations == 2 * (evaluations // 2)


@given(games.filter(lambda game: game.players > 1), st.integers(0, 99))
def test_banzhaf_scores_are_mean_marginals_over_all_coalitions_of_the_others(game: TableGame, seed: int) -> None:
    numbers = np.arange(2**game.players)
    banzhaf = [
        np.mean([game.utilities[s | 1 << i] - game.utilities[s] for s in numbers if not s >> i & 1])
        for i in range(game.players)
    ]
    np.testing.assert_allclose(last(Regression(seed, weighting="banzhaf"), game).scores, banzhaf, atol=1e-9)


def test_a_surrogate_leaves_less_to_pay_for() -> None:
    game = NoisyGame()
    alone = last(Regression(seed=0), game, 42)
    surrogate = Fixed(game.shapley * 3 + np.random.default_rng(1).normal(0, 1, game.players))
    helped = last(Regression(seed=0, surrogate=surrogate), game, 42)
    error = [np.abs(estimate.scores - game.shapley).mean() for estimate in (alone, helped)]
    assert error[1] < 0.6 * error[0]
    assert helped.scores.sum() == pytest.approx(helped.v_all - helped.v_none)
    assert "shrunk towards the surrogate" in helped.notes[0]


def test_a_surrogate_that_is_wrong_is_overruled_by_enough_evaluations() -> None:
    game = NoisyGame()
    wrong = Fixed(np.random.default_rng(1).standard_normal(game.players))
    assert spearmanr(last(Regression(seed=0, surrogate=wrong), game, 402).scores, game.shapley).statistic > 0.95


def test_the_two_halves_share_no_pair_and_leave_none_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    scores = Problem.scores

    def told(problem: Problem, rows: np.ndarray, penalty: float) -> np.ndarray:
        asked.append(rows.tolist())
        return scores(problem, rows, penalty)

    monkeypatch.setattr(Problem, "scores", told)
    rng = np.random.default_rng(0)
    estimate = last(Regression(seed=0), TableGame(rng.random(2**8)), 102)
    one, other, every = asked[-3:]
    assert sorted([*one, *other]) == every
    assert abs(len(one) - len(other)) <= 1
    assert estimate.halves is not None
    assert not np.array_equal(*estimate.halves)
