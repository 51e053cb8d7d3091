"""The paper's estimator: remove random groups of n players until none is left, k times (SHED, section 3.2, algorithm 1).

In: a game. Out: an `Estimate` after each of the k iterations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from shed.common.errors import ShedError
from shed.valuation.estimate import Estimate, average
from shed.valuation.game import Game


@dataclass(frozen=True)
class Removal:
    """Score players by what utility falls when their group leaves.

    In each iteration a random order is cut into groups of n; from all players, group after group is removed, and each of
    its members gets the fall in utility divided by the group's size. Scores are means over iterations, and in each
    iteration they sum to v(all) - v(none), which are measured. (The authors' code takes 0 for v(none), and thus lets
    the last group absorb the untuned model's utility.)

    Iteration i depends on the seed and on i alone, so a larger k adds to what a smaller one measured.

    Attributes:
        n: group size, 1 to the number of players.
        k: iterations; standard errors need two.

    Example:
        >>> class Additive:
        ...     players = 3
        ...     def value(self, coalitions):
        ...         return coalitions @ np.array([1.0, 2.0, 4.0])
        >>> *_, last = Removal(n=1, k=2, seed=0).rounds(Additive())
        >>> last.scores
        array([1., 2., 4.])
    """

    n: int
    k: int
    seed: int

    def rounds(self, game: Game) -> Iterator[Estimate]:
        """An estimate after each iteration.

        Raises:
            ShedError: n is larger than the number of players.
        """
        if self.n > game.players:
            raise ShedError(
                f"groups of {self.n} players are to be removed, but the game has {game.players}; lower n", "group size"
            )
        repetitions = np.empty((0, game.players))
        for i in range(self.k):
            order = np.random.default_rng([self.seed, i]).permutation(game.players)
            starts = range(0, game.players, self.n)
            remaining = np.ones((len(starts) + 1, game.players), dtype=bool)
            for step, start in enumerate(starts):
                remaining[step + 1 :, order[start : start + self.n]] = False
            values = game.value(remaining)
            falls = np.empty(game.players)
            for step, start in enumerate(starts):
                group = order[start : start + self.n]
                falls[group] = (values[step] - values[step + 1]) / len(group)
            repetitions = np.vstack([repetitions, falls])
            if np.isfinite(repetitions).all(axis=1).any():
                estimate = average(repetitions, float(values[-1]), float(values[0]))
                alone = ("one iteration gives no standard errors; raise k",) if self.k == 1 else ()
                yield replace(estimate, notes=alone)
