"""A game whose ledger can be damaged, and what its evaluations are."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import numpy as np

from shed.valuation.game import Evaluation, Run
from shed.valuation.ledger import Ledger

PLAYERS, CANDIDATES = 6, 3
UNTUNED, WEIGHTS = np.zeros((1, PLAYERS)), np.random.default_rng(0).random((10, PLAYERS))
COALITIONS = np.random.default_rng(1).permutation(list(product((0.0, 1.0), repeat=PLAYERS))[1:])[:40]
NAN = float("nan")


class SineGame:
    """Utilities and marginals that any other number is unlike; some tunings diverge, wholly or in a marginal."""

    players, owner, setup_fte = PLAYERS, np.arange(PLAYERS), 0.0

    def __init__(self, worst: float = NAN) -> None:
        self.measured, self._worst = 0, worst

    def members(self, weights: np.ndarray) -> list[str]:
        return [f"{player}*{float(weight)!r}" for player, weight in enumerate(weights) if weight]

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        return float(weights.sum()) / PLAYERS

    def at_once(self, run: Run | None = None) -> int:
        return 8

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        self.measured += len(weights)
        return [self._evaluate(one, run) for one in weights]

    def _evaluate(self, weights: np.ndarray, run: Run | None) -> Evaluation:
        if run is None:
            diverged = bool(weights[0] and weights[5])
            utility = self._worst if diverged else float(np.sin(weights @ np.arange(1, 1 + PLAYERS)))
            return Evaluation(utility, 0.25, self.price(weights))
        marginals = np.sin(np.arange(PLAYERS + CANDIDATES) + weights.sum() + run.draw)
        marginals[3] = NAN if weights[1] > 0.8 else marginals[3]
        return Evaluation(float(np.cos(weights.sum())), 0.5, self.price(weights), marginals)


def played(path: Path, game: SineGame) -> Iterator[Evaluation]:
    """Some fifty evaluations, with marginals of some."""
    with Ledger(path).play(game, {"game": "sine"}, "candidates") as play:
        yield from play.find_or_evaluate(np.concatenate([UNTUNED, COALITIONS]))
        yield from play.find_or_evaluate(WEIGHTS, Run("metagradient"))
        yield from play.find_or_evaluate(WEIGHTS[:3], Run("in_run", 2))


def numbers(evaluations: Iterator[Evaluation]) -> list[float]:
    return [
        number
        for one in evaluations
        for number in (one.utility, one.seconds, one.fte, *([] if one.marginals is None else one.marginals.tolist()))
    ]


def changed(ledger: Path, statement: str) -> int:
    """Change it by hand; how many rows."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        return connection.execute(statement).rowcount


def rows(ledger: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(query).fetchall()
