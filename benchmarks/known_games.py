"""Games whose Shapley values are known, for estimators to be measured against.

In: a curve, players, noise and a seed. Out: a game, and its exact values.

Players have different worths of 0.01 to 1, in hundredths. A coalition's utility is the sum of its members' worths, the root of
that sum, or the greatest worth, and noise that the coalition keeps.
"""

from functools import cache
from math import comb

import numpy as np

from shed.valuation.game import Evaluation, Run

STEPS = 100


class KnownGame:
    """A game as `spend` takes it; an evaluation costs as many FTE as its share of the players."""

    setup_fte = 0.0

    def __init__(self, curve: str, players: int, noise: float, seed: int) -> None:
        self.players, self.owner = players, np.arange(players)
        self.worths = np.random.default_rng([seed, 0]).permutation(STEPS)[:players] + 1
        self._curve, self._noise, self._seed = curve, noise, seed

    def name(self, weights: np.ndarray, run: Run | None = None) -> str:
        return np.packbits(weights > 0).tobytes().hex()

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        return float(np.mean(weights))

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        return [Evaluation(self._utility(one > 0), 0.0, self.price(one)) for one in weights]

    def exact(self) -> np.ndarray:
        """(P,) float64, the Shapley values of the game without its noise."""
        if self._curve == "additive":
            return self.worths / STEPS
        return _of_roots(tuple(self.worths.tolist())) if self._curve == "root" else _of_maximum(self.worths)

    def _utility(self, members: np.ndarray) -> float:
        worths = self.worths[members] / STEPS
        total = float(worths.sum())
        known = {"additive": total, "root": total**0.5, "maximum": float(worths.max(initial=0.0))}[self._curve]
        noise = np.random.default_rng([self._seed, 1, *np.packbits(members)]).standard_normal()
        return float(known + self._noise * noise)


@cache
def _of_roots(worths: tuple[int, ...]) -> np.ndarray:
    """Counts for each player how many coalitions of k others there are with each sum, and averages the rise of the root."""
    players, most = len(worths), sum(worths)
    chances = np.array([1 / (players * comb(players - 1, size)) for size in range(players)])
    root = np.sqrt(np.arange(most + 1) / STEPS)
    scores = np.empty(players)
    for player, own in enumerate(worths):
        counts = np.zeros((players, most + 1))
        counts[0, 0] = 1
        for other in (*worths[:player], *worths[player + 1 :]):
            counts[1:, other:] += counts[:-1, : most + 1 - other].copy()
        reached = most + 1 - own
        scores[player] = chances @ (counts[:, :reached] @ (root[own:] - root[:reached]))
    return scores


def _of_maximum(worths: np.ndarray) -> np.ndarray:
    """Each step of worth is shared among those who reach it."""
    order = np.argsort(worths)
    steps = np.diff(worths[order] / STEPS, prepend=0.0)
    scores = np.empty(len(worths))
    scores[order] = np.cumsum(steps / np.arange(len(worths), 0, -1))
    return scores
