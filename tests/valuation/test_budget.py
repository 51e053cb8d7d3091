"""Scoring ends at a limit or at a target, and says at which."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from table_game import Kept, TableGame, play

from shed.common.errors import ShedError
from shed.valuation.budget import Budget, first_cost, spend
from shed.valuation.costs.forecast import Prices, check_budget
from shed.valuation.estimate import Estimate, Estimator
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient
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


METHODS = [Metagradient(1), Metagradient(1, check=False), InRun(), Permutation(1), Removal(2, 3, 1), Exact()]


@pytest.mark.parametrize("estimator", METHODS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("dev", [0.1, 0.7])
def test_just_enough_is_taken_and_less_is_not(estimator: Estimator, dev: float) -> None:
    evaluations, fte = first_cost(estimator, Prices(6, dev, 8, True))
    assert check_budget(estimator, Budget(evaluations, fte + 0.001), 6, dev, 8, True) is None
    with pytest.raises(ShedError, match=f"takes {evaluations:,}"):
        check_budget(estimator, Budget(evaluations - 1), 6, dev, 8, True)
    with pytest.raises(ShedError, match="does not cover the first estimate of 6 clusters"):
        check_budget(estimator, Budget(fte=0.1), 6, dev, 8, True)


def test_a_budget_that_only_may_be_too_small_is_warned_of() -> None:
    """What no and all players cost lies between measuring alone and tuning alone."""
    low, high = sorted(first_cost(InRun(), Prices(6, dev, 8, False))[1] for dev in (0.0, 1.0))
    warning = check_budget(InRun(), Budget(fte=low + 0.1), 6, 0.9, 8, False)
    assert warning is not None
    assert "may not cover" in warning
    assert low + 0.1 < first_cost(InRun(), Prices(6, 0.9, 8, False))[1] < high


def test_minutes_are_not_foretold() -> None:
    assert check_budget(Permutation(1), Budget(minutes=0.001), 6, 0.5, 8, False) is None


def test_the_first_estimate_of_the_default_costs_what_it_cost_in_the_run_that_is_in_git() -> None:
    """See metrics/plots/convergence.csv: six FTE, four evaluations."""
    assert first_cost(Metagradient(1, check=False, redraw=True), Prices(32, 0.3, 8, True)) == (4, pytest.approx(6.0))
    assert np.isclose(Prices(32, 0.3, 8, True).price(np.ones(32)), 1.0)
