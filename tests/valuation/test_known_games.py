"""Games that cost nothing to play have the Shapley values that they say, and those of real records are kept whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from table_game import TableGame, games, play

from benchmarks.estimators import RegressionWithoutCurve
from benchmarks.known_games import FreeGame, KnownGame, MeasuredGame
from experiments.valuation.accuracy_against_cost import PLAYERS, REGIMES
from shed.common.atomic_io import read_json
from shed.valuation.budget import Budget, spend
from shed.valuation.estimators import size_baseline
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression


def utilities_of(game: FreeGame) -> np.ndarray:
    coalitions = (np.arange(2**game.players)[:, None] >> np.arange(game.players)) & 1 == 1
    return np.array([evaluation.utility for evaluation in game.find_or_evaluate(coalitions)])


@settings(max_examples=20)
@given(games)
def test_a_measured_game_is_that_of_its_utilities(table: TableGame) -> None:
    game = MeasuredGame(table.utilities)
    assert game.players == table.players
    np.testing.assert_array_equal(utilities_of(game), table.utilities)
    np.testing.assert_allclose(game.exact(), table.exact(), atol=1e-9)


@pytest.mark.parametrize("curve", ["additive", "root", "maximum"])
def test_exact_values_of_a_known_game_are_those_of_its_utilities_without_noise(curve: str) -> None:
    game = KnownGame(curve, 6, 0.0, seed=3)
    np.testing.assert_allclose(game.exact(), MeasuredGame(utilities_of(game)).exact(), atol=1e-9)
    noisy = KnownGame(curve, 6, 0.1, seed=3)
    np.testing.assert_array_equal(noisy.exact(), game.exact())
    assert np.abs(MeasuredGame(utilities_of(noisy)).exact() - noisy.exact()).max() > 0.01


def test_the_kept_games_of_real_records_are_whole_and_under_the_regimes_that_they_are_named_for(project_root: Path) -> None:
    kept = read_json(project_root / "experiments/valuation/exact_games.json")
    assert kept
    for name, one in kept.items():
        assert REGIMES[name].items() <= one["regime"].items()
        assert len(set(one["records_of_players"])) == PLAYERS
        assert len(set(one["utilities"])) > 2**PLAYERS / 2


def test_a_kept_game_gives_a_regression_its_exact_values_once_all_coalitions_are_asked(project_root: Path) -> None:
    game = MeasuredGame(np.array(read_json(project_root / "experiments/valuation/exact_games.json")["mild"]["utilities"]))
    exact = game.exact()
    np.testing.assert_allclose(spend(Regression(seed=0), game, Budget()).estimate.scores, exact, atol=1e-9)
    assert np.abs(spend(Permutation(seed=0), game, Budget(evaluations=40)).estimate.scores - exact).max() > 1e-3


def test_without_the_curve_a_curve_is_taken_for_noise_and_nothing_else_changes() -> None:
    size = np.array([number.bit_count() for number in range(256)])
    curved = TableGame(np.sqrt(size))
    without, withit = (play(one, curved, 40).estimate.scores for one in (RegressionWithoutCurve(0), Regression(0)))
    assert np.ptp(without) > 100 * np.ptp(withit)
    straight = TableGame(((np.arange(256)[:, None] >> np.arange(8)) & 1) @ np.arange(1.0, 9.0))
    np.testing.assert_allclose(play(RegressionWithoutCurve(0), straight, 40).estimate.scores, np.arange(1.0, 9.0), atol=1e-6)
    assert size_baseline.MOST > 0
