"""Whether a budget covers an estimator's first estimate, before there is a game.

In: an estimator, how many players there will be, a budget, and about how long dev is beside what is tuned. Out: nothing, a
warning, or an error in one line.

Without the clusters, what a coalition costs is known in part: each player is taken for as long as the others, and candidates
and segments that are tuned again for nothing, so that a cost is never too high. It depends on one number, how much of an FTE
is measuring on dev; each price rises or falls with it all the way, so that the least cost is at one of its ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from shed.common.errors import ShedError
from shed.valuation.budget import Budget, first_cost
from shed.valuation.estimate import Estimator
from shed.valuation.game import Evaluation, Run

MOST_PLAYERS = 64  # with whom an estimator is rehearsed: with more, regression takes seconds


@dataclass
class Prices:
    """A game of which only the prices are known.

    Attributes:
        players: how many.
        dev: the share of an FTE, 0 to 1, that is measuring on dev.
        steps: of a tuning on all players.
        warms_up: all players are tuned on once before the first evaluation, as `frozen_adam` does.
    """

    players: int
    dev: float
    steps: int
    warms_up: bool

    def __post_init__(self) -> None:
        self.owner = np.arange(self.players)
        self.setup_fte = (1 - self.dev) * self.warms_up

    def name(self, weights: np.ndarray, run: Run | None = None) -> str:
        return f"{run} {weights.astype(np.float64).tobytes().hex()}"

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        """As `shed.valuation.tuning_game` has it; see `metagradient_fte` and `in_run_fte` in `shed.engine.gradients`."""
        tuning, inside = 1 - self.dev, float(np.mean(weights != 0))
        if run is None:
            return inside * tuning + self.dev
        if run.how == "metagradient":
            return (3 * inside + (1 - inside)) * tuning + 2 * self.dev
        return (inside + 1) * tuning + (1 + 2 * self.steps) * self.dev

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> Iterable[Evaluation]:
        raise NotImplementedError("nothing is evaluated where only prices are known")


def check_budget(estimator: Estimator, budget: Budget, players: int, dev: float, steps: int, warms_up: bool) -> str | None:
    """Refuse a budget that cannot cover the first estimate; minutes are not looked at.

    Args:
        dev: about the share of an FTE that is measuring on dev; the others as in `Prices`.

    Returns:
        A warning where it is likely not to cover it, else None.

    Raises:
        ShedError: it does not, whatever the clusters are; or the estimator does not take so many players.
    """
    if players > MOST_PLAYERS:
        return None
    costs = {share: first_cost(estimator, Prices(players, share, steps, warms_up)) for share in (0.0, 1.0, dev)}
    evaluations = costs[dev][0]
    if budget.evaluations is not None and budget.evaluations < evaluations:
        raise ShedError(
            f"the budget of {budget.evaluations:,} evaluations does not cover the first estimate of {players} clusters, which "
            f"takes {evaluations:,}; raise the budget",
            "evaluations",
        )
    if budget.fte is None:
        return None
    if budget.fte < (least := min(costs[0.0][1], costs[1.0][1])):
        raise ShedError(
            f"the budget of {budget.fte:g} FTE does not cover the first estimate of {players} clusters, which takes at least "
            f"{least:.1f}; raise the budget",
            "budget",
        )
    if budget.fte < costs[dev][1]:
        return (
            f"the budget of {budget.fte:g} FTE may not cover the first estimate of {players} clusters, which takes about "
            f"{costs[dev][1]:.1f}; raise it"
        )
    return None
