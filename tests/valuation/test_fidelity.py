"""An audit that true scores pass and wrong ones fail."""

import numpy as np
import pytest
from table_game import Kept, TableGame

from shed.common.errors import ShedError
from shed.valuation.fidelity import (
    MeasuredCoalitions,
    chance,
    half_coalitions,
    lds,
    mean_over_draws,
    measure,
    predictions,
    sign_certainty,
)

TRUE = np.arange(10.0) - 3


@pytest.fixture
def game() -> TableGame:
    """Ten players whose values add up."""
    return TableGame(np.array([TRUE @ (number >> np.arange(10) & 1) for number in range(1024)]) - 7)


def audited(game: TableGame, coalitions: int = 30) -> MeasuredCoalitions:
    halves = half_coalitions(10, coalitions, seed=0)
    return mean_over_draws(halves, [measure(Kept(game), halves, "scoring")], "scoring")


def test_true_scores_predict_unseen_coalitions_exactly(game: TableGame) -> None:
    points = predictions(audited(game), TRUE, -7.0)
    np.testing.assert_allclose(points["predicted"], points["measured"])
    found = lds(audited(game), TRUE, seed=0)
    assert (found["lds"], found["lds_high"]) == (pytest.approx(1), 1.0)
    assert 0.99 < (found["lds_low"] or 0) < 1  # 30 coalitions in order are no proof of perfect scores
    assert lds(audited(game, 12), TRUE, seed=0)["lds_low"] == pytest.approx(0.974, abs=0.001)
    upside_down = lds(audited(game, 12), -TRUE, seed=0)
    assert (upside_down["lds_low"], upside_down["lds_high"]) == (-1.0, pytest.approx(-0.974, abs=0.001))


def test_of_a_few_coalitions_there_is_no_interval(game: TableGame) -> None:
    assert lds(audited(game, 7), TRUE, seed=0) == {"lds": pytest.approx(1), "lds_low": None, "lds_high": None}
    assert lds(audited(game, 8), TRUE, seed=0)["lds_low"] == pytest.approx(0.864, abs=0.001)


def test_scores_of_the_wrong_sign_and_random_scores(game: TableGame) -> None:
    assert lds(audited(game), -TRUE, seed=0)["lds"] == pytest.approx(-1.0)
    noise = lds(audited(game, 60), np.random.default_rng(3).standard_normal(10), seed=0)
    assert noise["lds_low"] < noise["lds"] < noise["lds_high"]  # type: ignore[operator]
    assert noise["lds_high"] - noise["lds_low"] > 0.2  # type: ignore[operator]
    assert lds(audited(game), np.ones(10), seed=0)["lds"] is None  # equal scores predict the same for every half


def test_chance_is_nothing_on_average_and_wide_for_few_coalitions(game: TableGame) -> None:
    few, many = chance(audited(game, 6), seed=0), chance(audited(game, 60), seed=0)
    assert abs(many["lds"] or 1) < 0.05
    assert few["lds_high"] - few["lds_low"] > 1.2  # type: ignore[operator]
    assert many["lds_high"] - many["lds_low"] < 0.9 * (few["lds_high"] - few["lds_low"])  # type: ignore[operator]


def test_more_coalitions_add_to_fewer() -> None:
    np.testing.assert_array_equal(half_coalitions(10, 4, seed=2), half_coalitions(10, 9, seed=2)[:4])
    assert (half_coalitions(11, 50, seed=2).sum(axis=1) == 5).all()


def test_no_half_is_measured_twice_and_few_players_have_few() -> None:
    halves = half_coalitions(4, 12, seed=2)
    assert len(np.unique(halves, axis=0)) == len(halves) == 6


def test_too_few_coalitions_are_not_taken_for_diverged_ones() -> None:
    with pytest.raises(ShedError, match="^an audit needs at least 4 coalitions, and there are 3; make more clusters"):
        mean_over_draws(half_coalitions(3, 12, seed=2), [np.zeros(3)], "scoring")


def test_coalitions_that_diverged_are_left_out_until_too_few_remain(game: TableGame) -> None:
    game.utilities[::2] = np.nan
    assert 5 < len(audited(game).utilities) < 25
    game.utilities[:] = np.nan
    with pytest.raises(ShedError, match="30 of 30 coalitions diverged in the scoring regime; lower its learning rate") as error:
        audited(game)
    assert error.value.setting == "learning rate of the scoring regime"


def test_draws_are_averaged_and_their_agreement_is_reported() -> None:
    halves = half_coalitions(10, 40, seed=0)
    rng = np.random.default_rng(1)
    draws = [halves @ TRUE + 5 * rng.standard_normal(40) for _ in range(4)]
    draws[2][7] = np.nan  # left out of all draws
    mean, one = mean_over_draws(halves, draws, "target"), mean_over_draws(halves, draws[:1], "target")
    assert len(mean.utilities) == 39
    assert one.draws_agree is None
    assert mean.draws_agree is not None
    assert 0.3 < mean.draws_agree < 0.8
    assert one.ceiling is None
    assert mean.ceiling == pytest.approx(lds(mean, TRUE, 0)["lds"], abs=0.05)
    assert lds(mean, TRUE, 0)["lds"] > lds(one, TRUE, 0)["lds"]  # type: ignore[operator]


def test_a_sign_is_as_certain_as_its_distance_from_zero() -> None:
    scores = np.array([0.0, 1.96, -1.96])
    np.testing.assert_allclose(sign_certainty(scores, np.ones(3), np.inf), [0.5, 0.975, 0.975], atol=1e-4)
    np.testing.assert_allclose(sign_certainty(scores, np.ones(3), 1), [0.5, 0.85, 0.85], atol=1e-2)  # of two repetitions
    assert np.isnan(sign_certainty(np.ones(1), np.full(1, np.nan), np.inf))
    assert sign_certainty(np.zeros(1), np.zeros(1), np.inf) == 0.5
