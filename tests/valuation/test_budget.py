"""Scoring ends at a limit or at a target, and says at which."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from table_game import Kept, TableGame, play

from shed.common.errors import ShedError
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimate, Estimator
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.game import Game


@pytest.fixture
def game() -> TableGame:
    """Ten players, additive with noise."""
    rng = np.random.default_rng(0)
    return TableGame(np.array([np.arange(10) @ (n >> np.arange(10) & 1) for n in range(1024)]) + rng.normal(0, 0.5, 1024))


def test_each_limit_ends_it_before_it_is_exceeded(game: TableGame) -> None:
    permutation = Permutation(seed=0)
    by_evaluations = spend(permutation, Kept(game), Budget(evaluations=70))
    assert by_evaluations.cost.evaluations <= 70
    assert by_evaluations.ended.startswith("the budget of 70 evaluations does not cover the next ones")
    by_fte = spend(permutation, Kept(game), Budget(fte=40))
    assert 30 < by_fte.cost.fte <= 40
    assert by_fte.ended.startswith("the budget of 40 FTE does not cover the next evaluations")
    by_minutes = spend(permutation, Kept(game), Budget(minutes=1.5))  # an evaluation takes a second here
    assert 90 <= by_minutes.cost.seconds <= 90 + 20
    assert by_minutes.ended.startswith("the budget of 1.5 minutes is spent")


def test_the_cost_before_the_first_evaluation_counts_towards_the_budget(game: TableGame) -> None:
    kept = Kept(game)
    without = spend(Permutation(seed=0), kept, Budget(fte=30))
    kept.setup_fte = 25.0
    with pytest.raises(ShedError, match=r"the budget of 30 FTE does not cover the next evaluations \(25\.00 used\)"):
        spend(Permutation(seed=0), kept, Budget(fte=30))
    assert spend(Permutation(seed=0), kept, Budget(fte=55)).cost.fte == without.cost.fte + 25


def test_an_evaluation_that_is_asked_for_twice_is_paid_for_once(game: TableGame) -> None:
    class Twice:
        def rounds(self, game: Game) -> Iterator[Estimate]:
            values = game.value(np.ones((3, 10), dtype=bool))
            yield Estimate(np.zeros(10), np.zeros(10), values[0], values[2])

    assert spend(Twice(), Kept(game), Budget(evaluations=1)).cost.evaluations == 1


def test_a_target_ends_it_sooner(game: TableGame) -> None:
    sure = spend(Permutation(seed=0), Kept(game), Budget(evaluations=900, stderr=0.2))
    assert sure.cost.evaluations < 500
    assert sure.estimate.stderr.mean() <= 0.2
    assert sure.ended.startswith("the mean standard error is 0.1")
    stable = spend(Regression(seed=0), Kept(game), Budget(evaluations=900, rank_stability=0.97))
    assert stable.cost.evaluations < 500
    assert stable.ended.endswith("at least the target of 0.97")


def test_convergence_has_a_row_for_each_round(game: TableGame) -> None:
    table = play(Removal(n=1, k=6, seed=0), game).convergence
    assert len(table) == 6
    assert table["evaluations"].is_monotonic_increasing
    assert table["rank_correlation"].iloc[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (
            Budget(evaluations=5),
            r"the budget of 5 evaluations does not cover the next ones .*; the first estimate takes (\d+) evaluations, and",
        ),
        (
            Budget(fte=2),
            r"the budget of 2 FTE does not cover the next evaluations .*; the first estimate takes \d+ evaluations, and (\S+) FTE",
        ),
    ],
)
@pytest.mark.parametrize("estimator", [Permutation(seed=0), Regression(seed=0), Removal(n=1, k=2, seed=0)])
def test_a_budget_that_is_too_small_says_how_large_it_must_be(
    game: TableGame, budget: Budget, message: str, estimator: Estimator
) -> None:
    with pytest.raises(ShedError, match=message) as error:
        spend(estimator, Kept(game), budget)
    (needed,) = re.search(message, str(error.value)).groups()  # type: ignore[union-attr]
    enough = Budget(evaluations=int(needed)) if budget.evaluations else Budget(fte=float(needed))
    assert len(spend(estimator, Kept(game), enough).convergence) == 1


def test_what_diverges_ends_scoring_or_is_left_out_and_counted(game: TableGame) -> None:
    game.utilities[[77, 300, 511]] = np.nan
    with pytest.raises(
        ShedError,
        match="tuning on the coalition of clusters .* diverged, .*; let scoring skip what diverges, or lower the learning rate",
    ):
        spend(Permutation(seed=0), Kept(game), Budget(evaluations=900))
    for estimator in (Permutation(seed=0), Regression(seed=0), Removal(n=1, k=60, seed=0)):
        outcome = spend(estimator, Kept(game), Budget(evaluations=900), on_divergence="skip")
        assert outcome.diverged > 0
        assert np.corrcoef(outcome.estimate.scores, np.arange(10))[0, 1] > 0.99
