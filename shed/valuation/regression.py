"""Shapley scores as the solution of a weighted least-squares problem over paired random coalitions.

In: a game, a number of evaluations and a seed. Out: an `Estimate`.

The Shapley values minimise Σ_S k(S) (v(S) − v(∅) − Σ_{i∈S} φ_i)² under Σφ = v(all) − v(∅), with k(S) the Shapley kernel
(KernelSHAP, arXiv 1705.07874). Coalition sizes are drawn uniformly, which is sampling by leverage, and each coalition comes
with its complement (LeverageSHAP, arXiv 2410.01917); a ridge penalty, chosen by cross-validation over pairs, shrinks scores
towards equal shares where there are too few evaluations for as many players.
"""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from shed.errors import ShedError
from shed.valuation.estimate import Estimate
from shed.valuation.game import Game

PENALTIES = np.concatenate([[0.0], np.logspace(-6, 3, 28)])
FOLDS = 5
RESAMPLES = 200
ENOUGH = 5  # evaluations a player; with fewer, scores are shrunk and said to be
GOLDEN = (5**0.5 - 1) / 2


def regression(game: Game, evaluations: int, seed: int) -> Estimate:
    """Score players by ridge regression on `evaluations` coalitions: none, all, and pairs of complements.

    Pair i depends on the seed and on i alone, so that more evaluations add to fewer. Standard errors are those of a bootstrap
    over pairs at the chosen penalty.

    Args:
        game: of at least two players.
        evaluations: at least 2 + 2 * FOLDS; an odd one is rounded down.
        seed: of the coalitions and the bootstrap.

    Raises:
        ShedError: too few evaluations or players.

    Example:
        >>> class Additive:
        ...     players = 3
        ...     def value(self, coalitions):
        ...         return coalitions @ np.array([1.0, 2.0, 4.0])
        >>> regression(Additive(), evaluations=30, seed=0).scores.round(6)
        array([1., 2., 4.])
    """
    players, pairs = game.players, (evaluations - 2) // 2
    if pairs < FOLDS:
        raise ShedError(f"score.evaluations is {evaluations}; regression needs at least {2 + 2 * FOLDS}")
    if players < 2:
        raise ShedError("regression needs at least two players; use exact")
    drawn = [_coalition(players, seed, i) for i in range(pairs)]
    ends = np.stack([np.zeros(players, dtype=bool), np.ones(players, dtype=bool)])
    coalitions = np.stack([each for one in drawn for each in (one, ~one)])
    values = game.value(np.concatenate([ends, coalitions]))
    problem = _Problem(coalitions, values[2:], float(values[0]), float(values[1]))
    order = np.random.default_rng([seed, 1]).permutation(pairs)
    penalty = problem.best_penalty(np.array_split(order, FOLDS))
    everything = np.arange(pairs)
    scores = problem.solve(everything, penalty)
    rng = np.random.default_rng([seed, 2])
    resampled = [problem.solve(rng.integers(0, pairs, pairs), penalty) for _ in range(RESAMPLES)]
    rows = []
    for count in sorted({max(FOLDS, pairs * part // 8) for part in range(1, 9)}):
        so_far = problem.solve(everything[:count], penalty)
        rank = spearmanr(so_far, scores).statistic if np.ptp(so_far) and np.ptp(scores) else np.nan
        rows.append({"evaluations": 2 + 2 * count, "rank_correlation": float(rank)})
    distinct = len(np.unique(np.concatenate([ends, coalitions]), axis=0))
    notes = []
    if distinct < ENOUGH * players:
        notes.append(
            f"{distinct} evaluations for {players} players are fewer than {ENOUGH * players}: scores are shrunk towards equal "
            f"shares, by {1 - problem.kept(penalty):.0%} on average"
        )
    stderr = np.std(resampled, axis=0, ddof=1)
    return Estimate(scores, stderr, problem.v_none, problem.v_all, distinct, pd.DataFrame(rows), tuple(notes))


def _coalition(players: int, seed: int, pair: int) -> np.ndarray:
    """(players,) bool: a random coalition whose size runs evenly over 1 to players - 1 as pairs go on."""
    size = 1 + int((GOLDEN * (pair + 1)) % 1.0 * (players - 1))
    mask = np.zeros(players, dtype=bool)
    mask[np.random.default_rng([seed, 0, pair]).permutation(players)[:size]] = True
    return mask


class _Problem:
    """The least-squares problem, free of its constraint: equal shares are taken off, and rows are centred over players."""

    def __init__(self, coalitions: np.ndarray, values: np.ndarray, v_none: float, v_all: float) -> None:
        self.v_none, self.v_all = v_none, v_all
        players = coalitions.shape[1]
        sizes = coalitions.sum(axis=1)
        self._share = (v_all - v_none) / players
        root = np.sqrt((players - 1) / (sizes * (players - sizes)))
        self._rows = (coalitions - (sizes / players)[:, None]) * root[:, None]
        self._targets = (values - v_none - sizes * self._share) * root

    def solve(self, pairs: np.ndarray, penalty: float) -> np.ndarray:
        """(players,) scores from these pairs (an index may come more than once)."""
        rows, targets = self._of(pairs)
        gram = rows.T @ rows / len(rows) + penalty * np.eye(rows.shape[1])
        solution: np.ndarray = np.linalg.lstsq(gram, rows.T @ targets / len(rows), rcond=1e-10)[0]
        scores: np.ndarray = solution + self._share
        return scores

    def best_penalty(self, folds: list[np.ndarray]) -> float:
        """The penalty with the least squared error on pairs that were left out."""
        errors = np.zeros(len(PENALTIES))
        for fold in folds:
            rest = np.concatenate([other for other in folds if other is not fold])
            rows, targets = self._of(fold)
            for i, penalty in enumerate(PENALTIES):
                errors[i] += np.square(rows @ (self.solve(rest, penalty) - self._share) - targets).sum()
        return float(PENALTIES[np.argmin(errors)])

    def kept(self, penalty: float) -> float:
        """The share of the scores' differences that the penalty keeps: mean of e / (e + penalty) over eigenvalues e."""
        values = np.linalg.eigvalsh(self._rows.T @ self._rows / len(self._rows))[1:]
        return float(np.mean(np.where(values > 1e-10, values / np.maximum(values + penalty, 1e-10), 0.0)))

    def _of(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
        return self._rows[index], self._targets[index]
