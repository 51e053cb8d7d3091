"""The curve of utility over a coalition's size, which a regression fits beside the scores.

In: sizes of coalitions. Out: the terms of the curve there, and what each term is worth to a player.

Utility rises with a coalition's size, and that curve is most of what differs between coalitions of unlike sizes. It tells
players apart in nothing: a function g(|S|) is a symmetric game, in which all players have the same score. Scores are additive
in games, φ(v) = φ(v − g(|S|)) + φ(g(|S|)), so g may be any curve; the closer it is to utility's, the less is left to chance.

A regression on differences v(S) − v(S̄) sees of the curve only what is odd about half of the players; the rest cancels. The
terms are therefore odd powers of u = 2|S|/P − 1, which runs from −1 to 1.
"""

from math import comb

import numpy as np

from shed.valuation.game import Weighting

MOST = 5  # terms


def terms(sizes: np.ndarray, players: int, weighting: Weighting) -> np.ndarray:
    """(m, MOST) float64, the terms at sizes (m,) 0 to players.

    For Shapley scores u³ − u, u⁵ − u³, …, which are 0 for nobody and for all: there the curve is known, and the line between
    the two is the equal shares. For Banzhaf scores u, u³, …
    """
    u = 2 * np.asarray(sizes, dtype=float)[:, None] / players - 1
    odd = u ** (2 * np.arange(MOST) + 1)
    found: np.ndarray = odd if weighting == "banzhaf" else odd * (u**2 - 1)
    return found


def worth(players: int, weighting: Weighting) -> np.ndarray:
    """(MOST,) float64, the score that each term, as a game, gives every player.

    Shapley scores sum to v(all) − v(none), which is 0. A Banzhaf score is the mean rise from k to k + 1 players, where k of
    the others have joined by fair coins.
    """
    if weighting == "shapley":
        return np.zeros(MOST)
    chances = np.array([comb(players - 1, k) / 2 ** (players - 1) for k in range(players)])
    found: np.ndarray = chances @ np.diff(terms(np.arange(players + 1), players, weighting), axis=0)
    return found
