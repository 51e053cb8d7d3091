"""A slow game that writes a line for each evaluation; run as a program, so that a test can kill it.

Usage: python counting_game.py LEDGER LOG PLAYERS K SECONDS
"""

import sys
import time
from pathlib import Path

import numpy as np

from shed.valuation.game import Evaluation
from shed.valuation.ledger import Ledger
from shed.valuation.removal import removal


class CountingGame:
    """v(S) is the sum of the squares of its players' numbers; each evaluation is logged before it is returned."""

    def __init__(self, log: Path, players: int, seconds: float) -> None:
        self.players = players
        self._log, self._seconds = log, seconds

    def members(self, coalition: np.ndarray) -> list[str]:
        return [str(player) for player in np.flatnonzero(coalition)]

    def evaluate(self, coalition: np.ndarray) -> Evaluation:
        time.sleep(self._seconds)
        with self._log.open("a") as log:
            log.write(",".join(self.members(coalition)) + "\n")
        return Evaluation(float((np.flatnonzero(coalition) ** 2).sum()), self._seconds, float(coalition.mean()))


def main(ledger: str, log: str, players: str, k: str, seconds: str) -> None:
    game = CountingGame(Path(log), int(players), float(seconds))
    with Ledger(ledger).play(game, {"game": "counting", "players": players}) as ledgered:
        estimate = removal(ledgered, n=1, k=int(k), seed=0)
    print(estimate.scores.tolist(), ledgered.new, len(ledgered.used))


if __name__ == "__main__":
    main(*sys.argv[1:])
