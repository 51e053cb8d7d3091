"""Games whose Shapley values are known, for estimators to be measured against.

In: a curve, players, noise and a seed; or all utilities of a game. Out: a game, and its exact values.

Of a `KnownGame`, players have different worths of 0.01 to 1, in hundredths. A coalition's utility is the sum of its members'
worths, the root of that sum, or the greatest worth, and noise that the coalition keeps.

The utilities of a `MeasuredGame` were measured once, so whatever noise they have is part of the game and of its exact values.
"""

from abc import ABC, abstractmethod
from functools import cache
from math import comb

import numpy as np

from shed.valuation.budget import Budget, spend
from shed.valuation.estimators.exact import Exact
from shed.valuation.game import Evaluation, Run

STEPS = 100


class FreeGame(ABC):
    """A game as `spend` takes it; an evaluation costs as many FTE as its share of the players."""

    setup_fte = 0.0

    def __init__(self, players: int) -> None:
        self.players, self.owner = players, np.arange(players)

    def name(self, weights: np.ndarray, run: Run | None = None) -> str:
        return np.packbits(weights > 0).tobytes().hex()

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        return float(np.mean(weights))

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        return [Evaluation(self.utility(one > 0), 0.0, self.price(one)) for one in weights]

    @abstractmethod
    def utility(self, members: np.ndarray) -> float:
        """Of a coalition (P,) bool."""

    @abstractmethod
    def exact(self) -> np.ndarray:
        """(P,) float64, the Shapley values that estimators are compared with."""


class KnownGame(FreeGame):
    """A game of known worths; its exact values are those without its noise."""

    def __init__(self, curve: str, players: int, noise: float, seed: int) -> None:
        super().__init__(players)
        self.worths = np.random.default_rng([seed, 0]).permutation(STEPS)[:players] + 1
        self._curve, self._noise, self._seed = curve, noise, seed

    def utility(self, members: np.ndarray) -> float:
        worths = self.worths[members] / STEPS
        total = float(worths.sum())
        known = {"additive": total, "root": total**0.5, "maximum": float(worths.max(initial=0.0))}[self._curve]
        noise = np.random.default_rng([self._seed, 1, *np.packbits(members)]).standard_normal()
        return float(known + self._noise * noise)

    def exact(self) -> np.ndarray:
        if self._curve == "additive":
            return self.worths / STEPS
        return _of_roots(tuple(self.worths.tolist())) if self._curve == "root" else _of_maximum(self.worths)


class MeasuredGame(FreeGame):
    """A game by its utilities (2^P,), each at the number whose bits are the coalition's members, player 0's the lowest."""

    def __init__(self, utilities: np.ndarray) -> None:
        super().__init__(len(utilities).bit_length() - 1)
        self._utilities = utilities

    def utility(self, members: np.ndarray) -> float:
        return float(self._utilities[members @ (1 << np.arange(self.players))])

    def exact(self) -> np.ndarray:
        return spend(Exact(), self, Budget()).estimate.scores


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
