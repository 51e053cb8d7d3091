"""The game whose players are groups of records: v(S) is the dev utility after tuning on the records of the players in S.

In: a `CoalitionTrainer` and the owner of each of its records. Out: evaluations of coalitions, and what they cost.
"""

import time
from collections.abc import Sequence

import numpy as np

from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.gradients import RUNS_AT_ONCE, in_run, in_run_fte, metagradient, metagradient_fte
from shed.valuation.game import Evaluation, Run


class TuningGame:
    """Players are groups of records; v(S) is the dev utility after tuning on the records of the players in S.

    Args:
        owner: for each of the trainer's N records the player that it belongs to, 0 to players - 1.
        ids: for each record its id; a coalition is named by its members' ids.
    """

    def __init__(self, trainer: CoalitionTrainer, owner: Sequence[int], ids: Sequence[str]) -> None:
        self.players = int(max(owner)) + 1
        self.owner = np.asarray(owner)
        self._trainer = trainer
        self._ids = np.asarray(ids)

    @property
    def setup_fte(self) -> float:
        """What has to be tuned before the first evaluation, in FTE."""
        return self._trainer.setup_fte

    def members(self, weights: np.ndarray) -> list[str]:
        """The sorted ids of the records in a coalition (players,) bool, each with its weight where that is a fraction."""
        own = weights[self.owner].astype(np.float64)
        return sorted(
            name if weight == 1 else f"{name}*{weight!r}" for name, weight in zip(self._ids, own, strict=True) if weight
        )

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        """The cost in FTE of evaluating weights (players,), with marginals if `run` is given."""
        own = weights[self.owner]
        if run is None:
            return self._trainer.fine_tune_equivalents(own)
        return (metagradient_fte if run.how == "metagradient" else in_run_fte)(self._trainer, own)

    def at_once(self, run: Run | None = None) -> int:
        """How many coalitions to evaluate together."""
        return self._trainer.at_once if run is None else min(RUNS_AT_ONCE, self._trainer.at_once)

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        """Tune on coalitions (m, players) bool, or by weights, together, and measure; with marginals if `run` is given.

        What diverges spoils those that are tuned beside it (0 · ∞ is NaN): what is not finite is evaluated again, alone.
        """
        found = self._together(weights, run)
        if len(weights) == 1:
            return found
        alone = zip(found, weights[:, None], strict=True)
        return [evaluation if evaluation.finite else self._together(one, run)[0] for evaluation, one in alone]

    def _together(self, weights: np.ndarray, run: Run | None) -> list[Evaluation]:
        self._trainer.set_up()
        own = weights[:, self.owner].astype(np.float64)
        began = time.perf_counter()
        marginals: list[np.ndarray | None] = [None] * len(own)
        if run is None:
            utilities = self._trainer.utilities(own)
        else:
            utilities, found = (metagradient if run.how == "metagradient" else in_run)(self._trainer.with_draw(run.draw), own)
            marginals = list(found)
        seconds = time.perf_counter() - began
        prices = [self.price(one, run) for one in weights]
        return [
            Evaluation(float(utility), seconds * price / sum(prices), price, own_marginals)
            for utility, price, own_marginals in zip(utilities, prices, marginals, strict=True)
        ]
