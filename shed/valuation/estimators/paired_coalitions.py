"""Random coalitions for a regression, each with its complement, and none twice.

In: a number of players and a seed. Out: one coalition after the other, and what each counts for.

For Shapley scores sizes are drawn uniformly, which is sampling by leverage (LeverageSHAP, arXiv 2410.01917). For Banzhaf
scores each player joins by a fair coin.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
from scipy.special import comb

from shed.valuation.game import Weighting

GOLDEN = (5**0.5 - 1) / 2


def draw(players: int, seed: int, weighting: Weighting) -> Iterator[np.ndarray]:
    """(players,) bool masks of one coalition of each pair, until all pairs are drawn.

    The sequence depends on the seed alone. For Shapley scores the coalitions of nobody and of all are left out; the sizes of
    the others run evenly over 1 to players - 1, and a size whose coalitions are all drawn is passed over.
    """
    drawn: set[bytes] = set()
    left = population(players)
    pairs = 2.0 ** (players - 1) if weighting == "banzhaf" else left.sum()
    for step in count():
        if len(drawn) >= pairs:
            return
        rng = np.random.default_rng([seed, 0, step])
        size = 1 + int((GOLDEN * (step + 1)) % 1.0 * (players - 1))
        smaller = min(size, players - size)
        if weighting == "shapley" and not left[smaller - 1]:
            continue
        while True:
            mask = rng.random(players) < 0.5 if weighting == "banzhaf" else _of_size(size, players, rng)
            pair = np.packbits(mask ^ mask[0]).tobytes()
            if pair not in drawn:
                break
        drawn.add(pair)
        if weighting == "shapley":
            left[smaller - 1] -= 1
        yield mask


def population(players: int) -> np.ndarray:
    """(players // 2,) float64, how many pairs there are whose smaller coalition has 1, 2, … players."""
    smaller = np.arange(1, players // 2 + 1)
    pairs: np.ndarray = np.rint(comb(players, smaller)) / _sides(players)
    return pairs


def weights(sizes: np.ndarray, players: int) -> np.ndarray:
    """(m,) float64, what each of m pairs counts for, so that every size counts alike.

    A pair counts 1 as long as its size has more pairs to give. Of a size with few pairs all get drawn, and each then counts
    for more. Once all pairs of all sizes are drawn, the weights are in proportion to those of the exact sum.

    Args:
        sizes: (m,) players in one coalition of each pair.
    """
    share = 2 / _sides(players)  # the middle size is its own complement, and is drawn half as often as a pair of sizes
    most = population(players) / share
    order = np.argsort(most)
    filled = np.concatenate([[0.0], np.cumsum((most * share)[order])[:-1]])  # pairs of the sizes that are all drawn
    levels = (len(sizes) - filled) / np.cumsum(share[order][::-1])[::-1]
    level = levels[np.flatnonzero(levels <= most[order] * (1 + 1e-12))[0]]
    found: np.ndarray = np.maximum(1.0, level / most)[np.minimum(sizes, players - sizes) - 1]
    return found


def undrawn(sizes: np.ndarray, players: int, weighting: Weighting) -> float:
    """The share of pairs that are not among the m drawn ones, 0 to 1; for Shapley scores its mean over sizes.

    Args:
        sizes: (m,) players in one coalition of each pair.
    """
    if weighting == "banzhaf":
        return 1 - len(sizes) / 2.0 ** (players - 1)
    drawn = np.bincount(np.minimum(sizes, players - sizes) - 1, minlength=players // 2)
    return float(1 - np.average(drawn / population(players), weights=2 / _sides(players)))


def _sides(players: int) -> np.ndarray:
    """(players // 2,) 2 for half of the players, whose complements are of the same size, and 1 for fewer."""
    return np.where(2 * np.arange(1, players // 2 + 1) == players, 2.0, 1.0)


def _of_size(size: int, players: int, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(players, dtype=bool)
    mask[rng.permutation(players)[:size]] = True
    return mask
