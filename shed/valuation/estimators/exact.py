"""Exact Shapley values of small games, from every coalition.

In: a game of at most 12 players. Out: an `Estimate` without error.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from shed.common.errors import DivergenceError, ShedError
from shed.valuation.estimate import Estimate
from shed.valuation.game import Game

MOST = 12


@dataclass(frozen=True)
class Exact:
    """Average each player's marginal contribution over all coalitions of the others, weighted by size."""

    def rounds(self, game: Game) -> Iterator[Estimate]:
        """One estimate.

        Raises:
            ShedError: more than 12 players, which would be more than 4,096 evaluations, or a coalition diverged.
        """
        players = game.players
        if players > MOST:
            raise ShedError(
                f"exact takes at most {MOST} players, and the game has {players}; use fewer clusters or another method"
            )
        numbers = np.arange(2**players)
        coalitions = (numbers[:, None] >> np.arange(players)) & 1 == 1
        values = game.value(coalitions)
        if not np.isfinite(values).all():
            raise DivergenceError("some tunings diverged, and exact needs all of them")
        weights = np.array([1 / (players * comb(players - 1, size)) for size in range(players)])
        scores = np.empty(players)
        for player in range(players):
            without = numbers[~coalitions[:, player]]
            marginals = values[without | 1 << player] - values[without]
            scores[player] = weights[coalitions[without].sum(axis=1)] @ marginals
        yield Estimate(scores, np.zeros(players), float(values[0]), float(values[-1]))
