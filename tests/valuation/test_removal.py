"""The paper's estimator against exact Shapley values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_game import TableGame, games, last, play

from shed.common.errors import ShedError
from shed.valuation.estimators.removal import Removal


@given(games, st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_scores_always_sum_to_v_all_minus_v_none(game: TableGame, k: int, n: int, seed: int) -> None:
    outcome = play(Removal(min(n, game.players), k, seed), game)
    estimate = outcome.estimate
    assert estimate.scores.sum() == pytest.approx(game.utilities[-1] - game.utilities[0], abs=1e-9)
    assert (estimate.v_none, estimate.v_all) == (game.utilities[0], game.utilities[-1])
    assert outcome.cost.evaluations == len(game.asked)
    assert outcome.ended == "all its rounds are done"


def test_it_converges_to_the_exact_values_and_its_standard_errors_say_how_fast() -> None:
    game = TableGame(np.random.default_rng(0).standard_normal(32))
    estimate = last(Removal(n=1, k=1500, seed=0), game)
    assert (np.abs(estimate.scores - game.exact()) < 4 * estimate.stderr).all()
    assert estimate.stderr.max() < 0.06


def test_the_players_of_a_group_share_its_fall_equally() -> None:
    game = TableGame(np.array([bin(i).count("1") * 1.0 for i in range(16)]))
    np.testing.assert_allclose(last(Removal(n=3, k=5, seed=0), game).scores, 1.0)


def test_the_utility_of_the_untuned_model_is_no_players_share() -> None:
    additive = TableGame(np.array([-7.0, -6.0, -5.0, -4.0]))
    np.testing.assert_allclose(last(Removal(n=1, k=1, seed=0), additive).scores, [1.0, 2.0])


def test_a_larger_k_asks_for_all_that_a_smaller_one_asked_for_and_more() -> None:
    few, many = (TableGame(np.arange(256.0)) for _ in range(2))
    last(Removal(n=2, k=2, seed=3), few)
    last(Removal(n=2, k=5, seed=3), many)
    assert few.asked < many.asked


def test_one_iteration_has_no_standard_error_and_a_group_larger_than_the_game_is_refused() -> None:
    game = TableGame(np.arange(8.0))
    once = last(Removal(n=1, k=1, seed=0), game)
    assert np.isnan(once.stderr).all()
    assert once.notes == ("one iteration gives no standard errors; raise k",)
    with pytest.raises(ShedError, match="groups of 4 players are to be removed, but the game has 3; lower n") as error:
        last(Removal(n=4, k=1, seed=0), game)
    assert error.value.setting == "group size"
