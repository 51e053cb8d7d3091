"""Games: a set of players and a utility for each coalition of them.

In: coalitions as boolean masks (m, players). Out: utilities (m,), higher is better.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from shed.valuation.training import CoalitionTrainer


@dataclass(frozen=True)
class Evaluation:
    """One measured v(S): its utility, and what it cost in seconds and in fine-tune equivalents."""

    utility: float
    seconds: float
    fte: float


class Game(Protocol):
    """What estimators play: `players` of them, and the utility of any coalition."""

    players: int

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        """(m, players) bool to (m,) float64 utilities."""
        ...


class TuningGame:
    """Players are groups of records; v(S) is the dev utility after tuning on the records of the players in S.

    Args:
        owner: for each of the trainer's N records the player that it belongs to, 0 to players - 1.
        ids: for each record its id; a coalition is named by its members' ids.
    """

    def __init__(self, trainer: "CoalitionTrainer", owner: Sequence[int], ids: Sequence[str]) -> None:
        self.players = max(owner) + 1
        self._trainer = trainer
        self._owner = np.asarray(owner)
        self._ids = np.asarray(ids)

    def members(self, coalition: np.ndarray) -> list[str]:
        """The sorted ids of the records in a coalition (players,) bool."""
        return sorted(self._ids[coalition[self._owner]])

    def evaluate(self, coalition: np.ndarray) -> Evaluation:
        """Tune on one coalition (players,) bool and measure."""
        weights = coalition[self._owner].astype(np.float32)
        began = time.perf_counter()
        utility = self._trainer.utility(weights)
        return Evaluation(utility, time.perf_counter() - began, self._trainer.fine_tune_equivalents(weights))

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        return np.array([self.evaluate(coalition).utility for coalition in coalitions])
