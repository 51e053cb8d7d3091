"""Games: a set of players, a utility for each coalition of them, and where tuning is differentiable each record's marginal.

In: coalitions as boolean masks (m, players), or weightings of players (players,). Out: utilities, higher is better, and what
each record's weight adds to them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from shed.valuation.training import CoalitionTrainer

Attribution = Literal["metagradient", "in_run"]
Weighting = Literal["shapley", "banzhaf"]
TOGETHER = 8  # coalitions that are tuned together
RUNS_TOGETHER = 2  # tunings with marginals, which keep their states: a coalition and its complement


@dataclass(frozen=True)
class Evaluation:
    """One measured v(S): its utility, and what it cost in fine-tune equivalents and in seconds, its part of those that were
    tuned together.

    Attributes:
        marginals: (N + B,) float64, what each record's weight adds to the utility, or each bystander's would add; None where
            only the utility was asked for.
    """

    utility: float
    seconds: float
    fte: float
    marginals: np.ndarray | None = None

    @property
    def finite(self) -> bool:
        """Whether the tuning did not diverge."""
        return bool(np.isfinite(self.utility)) and (self.marginals is None or bool(np.isfinite(self.marginals).all()))


class Run(NamedTuple):
    """A tuning with marginals: of which kind, under which draw of initial weights and batches; 0 is the regime's own."""

    how: Attribution
    draw: int = 0


class Spent(Exception):
    """A game on a budget refuses what was asked for, before it is paid; the message says which limit is met."""


class Game(Protocol):
    """What estimators play: `players` of them, and the utility of any coalition."""

    players: int

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        """(m, players) bool to (m,) float64 utilities; NaN where the tuning diverged."""
        ...


class DifferentiableGame(Game, Protocol):
    """A game whose players are groups of records with weights.

    Attributes:
        owner: (N,) for each record the player that it belongs to.
    """

    owner: np.ndarray

    def marginals(self, weights: np.ndarray, runs: Sequence[Run]) -> list[Evaluation]:
        """The utilities at weights (m, players) in [0, 1], each by its own of the `runs` (m,), with each record's and each
        bystander's marginal."""
        ...


class TuningGame:
    """Players are groups of records; v(S) is the dev utility after tuning on the records of the players in S.

    Args:
        owner: for each of the trainer's N records the player that it belongs to, 0 to players - 1.
        ids: for each record its id; a coalition is named by its members' ids.
    """

    def __init__(self, trainer: "CoalitionTrainer", owner: Sequence[int], ids: Sequence[str]) -> None:
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
        from shed.valuation.backward import fine_tune_equivalents

        own = weights[self.owner]
        return self._trainer.fine_tune_equivalents(own) if run is None else fine_tune_equivalents(self._trainer, own, run.how)

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        """Tune on coalitions (m, players) bool, or by weights, together, and measure; with marginals if `run` is given.

        What diverges spoils those that are tuned beside it (0 · ∞ is no number): what is not finite is evaluated again, alone.
        """
        found = self._together(weights, run)
        if len(weights) == 1:
            return found
        alone = zip(found, weights[:, None], strict=True)
        return [evaluation if evaluation.finite else self._together(one, run)[0] for evaluation, one in alone]

    def _together(self, weights: np.ndarray, run: Run | None) -> list[Evaluation]:
        from shed.valuation.backward import in_run, metagradient

        self._trainer.set_up()
        own = weights[:, self.owner].astype(np.float64)
        began = time.perf_counter()
        marginals: list[np.ndarray | None] = [None] * len(own)
        if run is None:
            utilities = self._trainer.utilities(own)
        else:
            utilities, found = (metagradient if run.how == "metagradient" else in_run)(self._trainer.drawn(run.draw), own)
            marginals = list(found)
        seconds = time.perf_counter() - began
        prices = [self.price(one, run) for one in weights]
        return [
            Evaluation(float(utility), seconds * price / sum(prices), price, own_marginals)
            for utility, price, own_marginals in zip(utilities, prices, marginals, strict=True)
        ]
