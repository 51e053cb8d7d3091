"""Work that only sleeps, as long as the cost model says that a model would work on it: what a worker holds in a simulated run.

In: sizes, and what a token pass takes. Out: answers that say nothing. It imports neither torch nor a model.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shed.valuation.game import Evaluation, Run
from shed.workers.contract import Workers


@dataclass(frozen=True)
class Asleep:
    """How long pieces of work take, and, in a worker, work that takes as long.

    Attributes:
        read, tuned: seconds of a token pass, to read and to tune.
        tokens: of a record.
        epochs: of a coalition's tuning and of the final one.
        players: clusters, with one proxy each.
        dev_tokens: that a utility reads.
        evaluation_tokens: that the evaluation of a run reads.
    """

    read: float
    tuned: float
    tokens: int
    epochs: int
    players: int
    dev_tokens: int
    evaluation_tokens: int
    code: Sequence[str] = ()

    def load(self) -> "Asleep":
        return self

    def facts(self) -> str:
        return "asleep"

    def block_seconds(self, records: int) -> float:
        """Of rating so many records: two forward passes."""
        return 2 * records * self.tokens * self.read

    def coalition_seconds(self, members: int) -> float:
        """Of tuning on so many records, and measuring utility."""
        return 2 * self.epochs * members * self.tokens * self.tuned + self.dev_tokens * self.read

    def run_seconds(self, rows: int) -> float:
        """Of tuning on so many rows, and evaluating."""
        return 2 * self.epochs * rows * self.tokens * self.tuned + self.evaluation_tokens * self.read

    def process(self, seconds: float) -> int:
        """Which process this is, after so many seconds."""
        time.sleep(seconds)
        return os.getpid()

    def block(self, records: int) -> None:
        time.sleep(self.block_seconds(records))

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        seconds = [self.coalition_seconds(int(one.sum())) for one in weights]
        time.sleep(sum(seconds))
        return [Evaluation(float(one.mean()), own, float(one.mean())) for one, own in zip(weights, seconds, strict=True)]

    def items(self, rows: int) -> None:
        time.sleep(self.run_seconds(rows))


class EqualPlayers:
    """What a game says of itself whose players are all alike; how its evaluations are made is its own.

    Args:
        players: clusters, of one record each.
        at_once: coalitions that are tuned together.
    """

    def __init__(self, players: int, at_once: int) -> None:
        self.players, self.owner, self.setup_fte = players, np.arange(players), 0.0
        self._at_once = at_once

    def members(self, weights: np.ndarray) -> list[str]:
        return [str(player) for player in np.flatnonzero(weights)]

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        return float(weights.mean())

    def at_once(self, run: Run | None = None) -> int:
        return self._at_once


class GivenOut(EqualPlayers):
    """A game whose evaluations are made by workers."""

    def __init__(self, workers: Workers, players: int, at_once: int) -> None:
        super().__init__(players, at_once)
        self._workers = workers

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        found: list[Evaluation] = self._workers.ask("evaluate", weights, run)
        return found

    def evaluate_each(self, groups: Sequence[np.ndarray], run: Run | None = None) -> Iterator[tuple[int, list[Evaluation]]]:
        return self._workers.each("evaluate", ((weights, run) for weights in groups))
