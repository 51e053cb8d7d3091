"""A game that writes a line for each evaluation and can be held in the middle; run as a program, so that a test can kill it.

Usage: python counting_game.py LEDGER LOG PLAYERS K HOLD. After HOLD evaluations of its own, the next one is in flight until the
file LOG.open exists.
"""

import sys
import time
from pathlib import Path

import numpy as np

from shed.valuation.budget import Budget, spend
from shed.valuation.estimators.removal import Removal
from shed.valuation.game import Evaluation, Run
from shed.valuation.ledger import Ledger


class CountingGame:
    """v(S) is the sum of the squares of its players' numbers; each evaluation is logged before it is returned."""

    def __init__(self, log: Path, players: int, hold: float = float("inf")) -> None:
        self.players, self.owner, self.setup_fte = players, np.arange(players), 0.0
        self._log, self._left = log, hold

    def members(self, weights: np.ndarray) -> list[str]:
        return [str(player) for player in np.flatnonzero(weights)]

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        return float(weights.mean())

    def at_once(self, run: Run | None = None) -> int:
        return 8

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        return [self._evaluate(one, run) for one in weights]

    def _evaluate(self, weights: np.ndarray, run: Run | None) -> Evaluation:
        self._left -= 1
        while self._left < 0 and not self._log.with_suffix(".open").exists():
            time.sleep(0.01)
        with self._log.open("a") as log:
            log.write(",".join(self.members(weights)) + "\n")
        return Evaluation(float((np.flatnonzero(weights) ** 2).sum()), 0.5, self.price(weights), weights * 1.0 if run else None)


def main(ledger: str, log: str, players: str, k: str, hold: str) -> None:
    game = CountingGame(Path(log), int(players), float(hold))
    with Ledger(ledger).play(game, {"game": "counting", "players": players}) as ledgered:
        outcome = spend(Removal(n=1, k=int(k), seed=0), ledgered, Budget())
    print(outcome.estimate.scores.tolist(), ledgered.new, outcome.cost.evaluations)


if __name__ == "__main__":
    main(*sys.argv[1:])
