"""Estimators by gradients, by orders and by shapiq, against exact values."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_game import Kept, TableGame, games, last, play

from shed.common.errors import ShedError
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import average
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient, smoothness
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter
from shed.valuation.game import Evaluation, Run


class SmoothGame(Kept):
    """Six records of three players; u(w) = a·w + w·B·w / 2, or slopes at random where `rough`."""

    def __init__(self, rough: bool = False) -> None:
        self.players, self.owner, self.setup_fte = 3, np.array([0, 0, 1, 1, 2, 2]), 0.0
        rng = np.random.default_rng(4)
        self.a, b = rng.standard_normal(6), rng.standard_normal((6, 6))
        self.b = b + b.T
        self.rough = rough

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        return [self._evaluate(one, run) for one in weights]

    def _evaluate(self, weights: np.ndarray, run: Run | None) -> Evaluation:
        w = weights[self.owner].astype(float)
        slope = self.a + self.b @ w
        if self.rough:
            slope = np.random.default_rng(int(1e6 * w.sum())).standard_normal(6)
        return Evaluation(float(self.a @ w + w @ self.b @ w / 2), 1.0, self.price(weights), None if run is None else slope)

    def exact(self) -> np.ndarray:
        return np.bincount(self.owner, weights=self.a + self.b.sum(axis=1) / 2)


@given(games)
def test_orders_and_their_reverses_sum_to_v_all_minus_v_none(game: TableGame) -> None:
    estimate = play(Permutation(seed=0), game, 6 * game.players).estimate
    assert estimate.scores.sum() == pytest.approx(game.utilities[-1] - game.utilities[0], abs=1e-9)


def test_orders_converge_to_the_exact_values() -> None:
    game = TableGame(np.random.default_rng(0).standard_normal(256))
    estimate = last(Permutation(seed=0), game)  # ends when all of the game's coalitions have been asked
    assert (np.abs(estimate.scores - game.exact()) < 4 * estimate.stderr).all()


def test_a_pair_of_gradients_is_exact_where_players_interact_in_pairs() -> None:
    game = SmoothGame()
    for seed in range(5):
        outcome = spend(Metagradient(seed, check=False), game, Budget(evaluations=4))
        np.testing.assert_allclose(outcome.estimate.scores, game.exact())
        assert outcome.estimate.records is not None
        np.testing.assert_allclose(outcome.estimate.records, game.a + game.b.sum(axis=1) / 2)
        assert outcome.cost.runs == 2


class CurvedGame(Kept):
    """Five records, a player each; u(w) = Σ_j c_j w_0² w_j, whose curvature in the first weight grows with the others."""

    def __init__(self) -> None:
        self.players, self.owner, self.setup_fte = 5, np.arange(5), 0.0
        self.c = np.array([0.0, 1.0, 2.0, -1.0, 3.0])

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        return [self._evaluate(one, run) for one in weights]

    def _evaluate(self, weights: np.ndarray, run: Run | None) -> Evaluation:
        w = weights.astype(float)
        slope = w[0] ** 2 * self.c
        slope[0] = 2 * w[0] * self.c @ w
        return Evaluation(float(w[0] ** 2 * self.c @ w), 1.0, self.price(weights), None if run is None else slope)


def test_pairs_converge_to_the_exact_values_where_curvature_depends_on_the_others() -> None:
    game = CurvedGame()
    exact = np.concatenate([[game.c.sum() / 2], game.c[1:] / 2])
    found = [spend(Metagradient(seed, check=False), game, Budget(evaluations=2002)).estimate for seed in range(5)]
    assert (np.abs(found[0].scores - exact) <= 4 * found[0].stderr + 1e-9).all()
    error = np.mean([estimate.scores for estimate in found], axis=0) - exact
    assert np.abs(error).max() < game.c.sum() / 60  # a plain mean over runs is wrong by ten times that


class NoisyGame(SmoothGame):
    """The smooth game, whose slopes another draw moves by noise of its own."""

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        noise = np.random.default_rng([5, run.draw if run else 0]).standard_normal(len(self.owner))
        found = super().find_or_evaluate(weights, run)
        return [one if one.marginals is None else replace(one, marginals=one.marginals + 9 * noise) for one in found]


def test_redrawn_runs_average_out_the_noise_of_initial_weights_and_batches() -> None:
    truth = spend(Metagradient(0, check=False), SmoothGame(), Budget(evaluations=82)).estimate.scores

    def error(redraw: bool) -> float:
        estimator = Metagradient(0, check=False, redraw=redraw)
        return float(np.abs(spend(estimator, NoisyGame(), Budget(evaluations=82)).estimate.scores - truth).mean())

    assert error(redraw=True) < error(redraw=False) / 2


class DivergingGame(SmoothGame):
    """The smooth game, in which the runs of some draws diverge."""

    def __init__(self, diverging: set[int]) -> None:
        super().__init__()
        self.diverging = diverging

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        found = super().find_or_evaluate(weights, run)
        if run is None or run.draw not in self.diverging:
            return found
        return [replace(one, utility=np.nan, marginals=np.full(len(self.owner), np.nan)) for one in found]


def test_a_run_that_diverges_drops_its_pair_or_ends_scoring() -> None:
    estimator, game = Metagradient(0, check=False, redraw=True), DivergingGame({1})
    with pytest.raises(ShedError, match="tuning on the coalition of clusters .* diverged"):
        spend(estimator, game, Budget(evaluations=6))
    left = spend(estimator, game, Budget(evaluations=6), on_divergence="skip")
    assert (left.cost.evaluations, left.diverged) == (6, 1)
    np.testing.assert_allclose(left.estimate.scores, game.exact())
    with pytest.raises(ShedError, match="all 4 tunings that the scores rest on diverged"):
        spend(estimator, DivergingGame({0, 1, 2, 3}), Budget(evaluations=6), on_divergence="skip")


def test_a_budget_that_does_not_cover_a_pair_pays_for_none_of_its_runs() -> None:
    outcome = spend(Metagradient(0, check=False, redraw=True), NoisyGame(), Budget(evaluations=5))
    assert outcome.cost.evaluations == 4
    assert outcome.ended == "the budget of 5 evaluations does not cover the next ones (4 used)"


def test_a_smooth_game_passes_the_check_and_a_rough_one_gets_a_note() -> None:
    smooth = spend(Metagradient(0), SmoothGame(), Budget(evaluations=9)).estimate
    assert smooth.notes == ()
    once = spend(Metagradient(1), SmoothGame(), Budget(evaluations=5)).estimate
    assert once.notes[0].startswith("one pair of runs: standard errors of Shapley scores are half")
    assert np.ptp(once.stderr) == 0 < once.stderr[0]
    rough = spend(Metagradient(0), SmoothGame(rough=True), Budget(evaluations=9)).estimate
    assert "utility is not smooth" in rough.notes[0]
    assert "lower the learning rate" in rough.notes[0]


@pytest.mark.parametrize(("cosine", "notes"), [(1.0, 0), (0.96, 0), (0.94, 1), (0.5, 1), (-1.0, 1)])
def test_gradients_of_close_weightings_may_differ_by_a_small_angle(cosine: float, notes: int) -> None:
    slopes = [np.array([2.0, 0.0]), 3.0 * np.array([cosine, np.sqrt(1 - cosine**2)])]
    game = SimpleNamespace(owner=np.arange(2), marginals=lambda *_: [Evaluation(0.0, 0.0, 0.0, slope) for slope in slopes])
    assert len(smoothness(game, np.ones(2, dtype=bool))) == notes


def test_first_order_scores_are_of_one_run_and_say_what_they_are() -> None:
    outcome = spend(InRun(), SmoothGame(), Budget())
    assert outcome.cost.evaluations == 2
    assert np.isnan(outcome.estimate.stderr).all()
    assert "first-order" in outcome.estimate.notes[0]
    assert outcome.ended == "all its rounds are done"


@pytest.mark.parametrize("name", ["KernelSHAP", "SVARM", "PermutationSamplingSV", "SHAPIQ"])
def test_shapiqs_approximators_play_the_same_game(name: str) -> None:
    values = np.array([1.0, 2.0, 4.0, -1.0, 0.5, 3.0])
    additive = TableGame(np.array([values @ (number >> np.arange(6) & 1) for number in range(64)]) - 9)
    estimate = last(ShapiqAdapter(name, 60, seed=0), additive)
    assert np.corrcoef(estimate.scores, values)[0, 1] > 0.95
    assert len(additive.asked) <= 62


def test_a_budget_that_is_too_small_for_shapiq_says_how_large_it_must_be() -> None:
    with pytest.raises(
        ShedError, match=r"KernelSHAP fails on 3 players and 2 evaluations .*; it takes (4): raise the number of evaluations"
    ) as error:
        last(ShapiqAdapter("KernelSHAP", 2, seed=0), TableGame(np.arange(8.0)))
    assert "choose another approximator" in str(error.value)
    assert error.value.setting == "evaluations"
    assert np.isfinite(last(ShapiqAdapter("KernelSHAP", 4, seed=0), TableGame(np.arange(8.0))).scores).all()


def test_an_approximator_that_shapiq_does_not_have() -> None:
    with pytest.raises(ShedError, match="shapiq has no approximator 'KernelShap'; it has .*KernelSHAP") as error:
        last(ShapiqAdapter("KernelShap", 20, seed=0), TableGame(np.arange(8.0)))
    assert error.value.setting == "approximator"


@given(st.integers(0, 50))
def test_shares_of_records_sum_to_their_players(seed: int) -> None:
    estimate = spend(Metagradient(seed, check=False), SmoothGame(), Budget(evaluations=8)).estimate
    assert estimate.records is not None
    np.testing.assert_allclose(np.bincount([0, 0, 1, 1, 2, 2], weights=estimate.records), estimate.scores)


def test_the_standard_error_of_an_uneven_mean_is_the_spread_of_that_mean() -> None:
    repetitions = np.random.default_rng(0).standard_normal((2, 20_000))
    for counts in ((1.0, 1.0), (2.0, 32 / 6), (2.0, 32 / 26)):
        estimate = average(repetitions, 0.0, 0.0, np.outer(counts, np.ones(20_000)))
        assert np.sqrt(np.square(estimate.stderr).mean()) == pytest.approx(estimate.scores.std(), rel=0.02)
