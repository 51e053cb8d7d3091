"""Exact Shapley values of small games, from every coalition.

In: a game of at most 12 players. Out: an `Estimate` without error.
"""

from math import comb

import numpy as np
import pandas as pd

from shed.errors import ShedError
from shed.valuation.estimate import Estimate
from shed.valuation.game import Game

MOST = 12


def exact(game: Game) -> Estimate:
    """Average each player's marginal contribution over all coalitions of the others, weighted by size.

    Raises:
        ShedError: more than 12 players, which would be more than 4,096 evaluations.
    """
    players = game.players
    if players > MOST:
        raise ShedError(f"exact takes at most {MOST} players, and the game has {players}; lower C or use regression")
    numbers = np.arange(2**players)
    coalitions = (numbers[:, None] >> np.arange(players)) & 1 == 1
    values = game.value(coalitions)
    weights = np.array([1 / (players * comb(players - 1, size)) for size in range(players)])
    scores = np.empty(players)
    for player in range(players):
        without = numbers[~coalitions[:, player]]
        marginals = values[without | 1 << player] - values[without]
        scores[player] = weights[coalitions[without].sum(axis=1)] @ marginals
    convergence = pd.DataFrame({"evaluations": [2**players], "rank_correlation": [1.0]})
    return Estimate(scores, np.zeros(players), float(values[0]), float(values[-1]), 2**players, convergence)
