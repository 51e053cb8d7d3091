"""The paper's estimator: remove random groups of n players until none is left, k times (SHED, section 3.2, algorithm 1).

In: a game, n, k and a seed. Out: an `Estimate`.
"""

import numpy as np

from shed.errors import ShedError
from shed.valuation.estimate import Estimate, average
from shed.valuation.game import Game


def removal(game: Game, n: int, k: int, seed: int) -> Estimate:
    """Score players by what utility falls when their group leaves.

    In each iteration a random order is cut into groups of n; from all players, group after group is removed, and each of
    its members gets the fall in utility divided by the group's size. Scores are means over k iterations, and in each
    iteration they sum to v(all) - v(none), which are measured. (The authors' code takes 0 for v(none), and thus lets
    the last group absorb the untuned model's utility.)

    Iteration i depends on the seed and on i alone, so a larger k adds to what a smaller one measured.

    Args:
        n: group size, 1 to `game.players`.
        k: iterations; standard errors need two.

    Raises:
        ShedError: n is larger than the number of players.

    Example:
        >>> class Additive:
        ...     players = 3
        ...     def value(self, coalitions):
        ...         return coalitions @ np.array([1.0, 2.0, 4.0])
        >>> removal(Additive(), n=1, k=2, seed=0).scores
        array([1., 2., 4.])
    """
    if n > game.players:
        raise ShedError(f"score.n is {n}, but the game has {game.players} players; n must be at most that")
    orders = [np.random.default_rng([seed, i]).permutation(game.players) for i in range(k)]
    chains = [[order[at:] for at in range(0, game.players, n)] for order in orders]
    coalitions = [_mask(remaining, game.players) for chain in chains for remaining in [*chain, chain[0][:0]]]
    values = game.value(np.stack(coalitions)).reshape(k, -1)
    repetitions = np.empty((k, game.players))
    for i, chain in enumerate(chains):
        for step, remaining in enumerate(chain):
            group = remaining[:n]
            repetitions[i, group] = (values[i, step] - values[i, step + 1]) / len(group)
    scores, stderr, convergence = average(repetitions, values.shape[1])
    distinct = len(np.unique(np.stack(coalitions), axis=0))
    notes = () if k > 1 else ("one iteration gives no standard errors; raise score.k",)
    return Estimate(scores, stderr, float(values[0, -1]), float(values[0, 0]), distinct, convergence, notes)


def _mask(players: np.ndarray, total: int) -> np.ndarray:
    mask = np.zeros(total, dtype=bool)
    mask[players] = True
    return mask
