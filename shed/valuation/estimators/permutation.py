"""Antithetic permutation sampling: players join in a random order, and then in its reverse (arXiv 2104.12199, section 4.3).

In: a game. Out: an `Estimate` after each pair of orders.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from shed.valuation.estimate import Estimate, average
from shed.valuation.game import Game


@dataclass(frozen=True)
class Permutation:
    """Score players by what utility rises when they join; a repetition is the mean over an order and its reverse.

    Pair i depends on the seed and on i alone. It goes on until the budget ends it.

    Example:
        >>> class Additive:
        ...     players = 3
        ...     def value(self, coalitions):
        ...         return coalitions @ np.array([1.0, 2.0, 4.0])
        >>> next(Permutation(seed=0).rounds(Additive())).scores
        array([1., 2., 4.])
    """

    seed: int

    def rounds(self, game: Game) -> Iterator[Estimate]:
        repetitions = np.empty((0, game.players))
        for i in count():
            order = np.random.default_rng([self.seed, i]).permutation(game.players)
            gains = []
            chains = [_chain(order), _chain(order[::-1])]
            values = game.value(np.concatenate(chains)).reshape(2, -1)
            for way, measured in zip((order, order[::-1]), values, strict=True):
                gain = np.empty(game.players)
                gain[way] = np.diff(measured)
                gains.append(gain)
            repetitions = np.vstack([repetitions, np.mean(gains, axis=0)])
            if np.isfinite(repetitions).all(axis=1).any():
                yield average(repetitions, float(values[0, 0]), float(values[0, -1]))


def _chain(order: np.ndarray) -> np.ndarray:
    """(P + 1, P) bool: nobody, then the players joining in this order."""
    joined = np.zeros((len(order) + 1, len(order)), dtype=bool)
    for step, player in enumerate(order, start=1):
        joined[step:, player] = True
    return joined
