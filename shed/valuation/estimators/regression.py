"""Shapley scores, or Banzhaf's, as the solution of a least-squares problem over paired random coalitions.

In: a game, and a cheaper estimator if there is one. Out: an `Estimate` after each few pairs of coalitions.

The Shapley values minimise Σ_S k(S) (v(S) − v(∅) − Σ_{i∈S} φ_i)² under Σφ = v(all) − v(∅), with k(S) the Shapley kernel
(KernelSHAP, arXiv 1705.07874). Coalition sizes are drawn uniformly, which is sampling by leverage, and each coalition comes
with its complement (LeverageSHAP, arXiv 2410.01917). The Banzhaf values are the same without kernel and constraint, over
coalitions that each player joins by a fair coin (Data Banzhaf, arXiv 2205.15466).

A ridge penalty, chosen by cross-validation over pairs, shrinks scores where there are too few evaluations for as many
players: towards equal shares, or towards a surrogate's scores s times the β that fits best. Shapley values are additive in
games, so φ(v) = φ(βs) + φ(v − βs), and evaluations pay for what the surrogate misses alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from shed.common.errors import DivergenceError, ShedError
from shed.valuation.estimate import Estimate, Estimator
from shed.valuation.game import BudgetExhausted, DifferentiableGame, Weighting

PENALTIES = np.concatenate([[0.0], np.logspace(-6, 3, 28)])
FOLDS = 5
ENOUGH = 5  # evaluations a player; with fewer, scores are shrunk and said to be
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Regression:
    """Score players by ridge regression on coalitions: none, all, and pairs of complements.

    Pair i depends on the seed and on i alone, so that more evaluations add to fewer. Standard errors are those of residuals
    by pair, each corrected for its leverage (HC3), at the chosen penalty, and what that may have shrunk away: see
    `_Problem.stderr`.

    Attributes:
        weighting: `shapley`, or `banzhaf`, whose scores do not sum to v(all) − v(none).
        surrogate: a cheaper estimator, whose first estimate the penalty shrinks towards; it plays on the same budget.

    Example:
        >>> class Additive:
        ...     players = 3
        ...     def value(self, coalitions):
        ...         return coalitions @ np.array([1.0, 2.0, 4.0])
        >>> next(Regression(seed=0).rounds(Additive())).scores.round(6)
        array([1., 2., 4.])
    """

    seed: int
    weighting: Weighting = "shapley"
    surrogate: Estimator | None = None

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        """An estimate whenever there is an eighth more pairs, from the fifth on, and one of all pairs when the budget is spent.

        Pairs with a coalition that diverged are left out.

        Raises:
            ShedError: fewer than two players.
        """
        players = game.players
        if players < 2:
            raise ShedError("regression needs at least two players; use exact")
        ends = np.stack([np.zeros(players, dtype=bool), np.ones(players, dtype=bool)])
        v_none, v_all = (float(value) for value in game.value(ends))
        if not np.isfinite([v_none, v_all]).all():
            raise DivergenceError("the tuning on all players diverged, and regression needs it")
        surrogate = None if self.surrogate is None else next(self.surrogate.rounds(game)).scores
        coalitions, values = np.empty((0, players), dtype=bool), np.empty(0)
        solved = 0
        for pair in count():
            one = _coalition(players, self.seed, pair, self.weighting)
            both = np.stack([one, ~one])
            try:
                measured = game.value(both)
            except BudgetExhausted:
                if len(values) > max(solved, 2 * FOLDS - 1):
                    yield self._solve(coalitions, values, v_none, v_all, surrogate)
                raise
            if np.isfinite(measured).all():
                coalitions, values = np.vstack([coalitions, both]), np.append(values, measured)
            if len(values) >= max(2 * FOLDS, solved * 9 / 8):
                solved = len(values)
                yield self._solve(coalitions, values, v_none, v_all, surrogate)

    def _solve(
        self, coalitions: np.ndarray, values: np.ndarray, v_none: float, v_all: float, surrogate: np.ndarray | None
    ) -> Estimate:
        players = coalitions.shape[1]
        problem = _Problem(coalitions, values, v_none, v_all, self.weighting, surrogate)
        pairs = len(values) // 2
        order = np.random.default_rng([self.seed, 1, pairs]).permutation(pairs)
        distinct = len(np.unique(coalitions, axis=0)) + 2
        few = distinct < ENOUGH * players
        penalty = problem.best_penalty(np.array_split(order, FOLDS), few)
        everything = np.arange(pairs)
        halves = np.stack([problem.scores(everything[::2], penalty), problem.scores(everything[1::2], penalty)])
        notes = []
        if few:
            towards = "equal shares" if surrogate is None else "the surrogate"
            notes.append(
                f"{distinct} evaluations for {players} players are fewer than {ENOUGH * players}: scores are shrunk towards "
                f"{towards}, by {1 - problem.kept(penalty):.0%} on average"
            )
        scores, stderr = problem.scores(everything, penalty), problem.stderr(penalty)
        return Estimate(scores, stderr, v_none, v_all, halves, notes=tuple(notes))


def _coalition(players: int, seed: int, pair: int, weighting: Weighting) -> np.ndarray:
    """(players,) bool: for Shapley of a size that runs evenly over 1 to players - 1 as pairs go on, for Banzhaf by coins."""
    rng = np.random.default_rng([seed, 0, pair])
    if weighting == "banzhaf":
        return rng.random(players) < 0.5
    size = 1 + int((GOLDEN * (pair + 1)) % 1.0 * (players - 1))
    mask = np.zeros(players, dtype=bool)
    mask[rng.permutation(players)[:size]] = True
    return mask


class _Problem:
    """The least-squares problem in what scores differ by from their prior, the equal shares or the surrogate's.

    For Shapley, equal shares are taken off and rows are centred over players, which frees the problem of its constraint.
    """

    def __init__(
        self,
        coalitions: np.ndarray,
        values: np.ndarray,
        v_none: float,
        v_all: float,
        weighting: Weighting,
        surrogate: np.ndarray | None,
    ) -> None:
        players = coalitions.shape[1]
        sizes = coalitions.sum(axis=1)
        if weighting == "banzhaf":
            self._rows = coalitions - 0.5
            self._targets = values - values.mean()
            self._prior = np.zeros(players)
            self._fixed = np.zeros((players, players))
            direction = np.ones(players) if surrogate is None else surrogate
        else:
            share = (v_all - v_none) / players
            root = np.sqrt((players - 1) / (sizes * (players - sizes)))
            self._rows = (coalitions - (sizes / players)[:, None]) * root[:, None]
            self._targets = (values - v_none - sizes * share) * root
            self._prior = np.full(players, share)
            self._fixed = np.full((players, players), 1 / players)  # onto the sum of scores, which is known
            direction = np.zeros(players) if surrogate is None else surrogate - surrogate.mean()
        along = self._rows @ direction
        if along @ along > 0:
            beta = max(0.0, (along @ self._targets) / (along @ along))  # a surrogate that fits the wrong way round is no help
            self._prior = self._prior + beta * direction
            self._targets = self._targets - beta * along

    def scores(self, pairs: np.ndarray, penalty: float) -> np.ndarray:
        """(players,) scores from these pairs."""
        values, vectors, moment = self._decompose(pairs)
        scores: np.ndarray = self._prior + vectors @ (_inverse(values, penalty) * moment)
        return scores

    def best_penalty(self, folds: list[np.ndarray], few: bool) -> float:
        """The penalty with the least squared error on left-out pairs; if `few`, the largest one within its standard error.

        Few pairs cannot tell penalties apart, and the least error alone often takes one that keeps mostly noise.
        """
        errors = np.empty((len(folds), len(PENALTIES)))
        for own, fold in zip(errors, folds, strict=True):
            values, vectors, moment = self._decompose(np.concatenate([other for other in folds if other is not fold]))
            rows, targets = self._of(fold)
            solutions = np.stack([_inverse(values, penalty) * moment for penalty in PENALTIES])
            own[:] = np.square((rows @ vectors) @ solutions.T - targets[:, None]).mean(axis=0)
        mean, least = errors.mean(axis=0), errors.mean(axis=0).argmin()
        stderr = errors[:, least].std(ddof=1) / np.sqrt(len(folds))
        return float(PENALTIES[mean <= mean[least] + stderr].max() if few else PENALTIES[least])

    def stderr(self, penalty: float) -> np.ndarray:
        """(players,) standard errors: the spread of A⁻¹ Σ x e over pairs, e the residual a pair had if it were left out, and
        the mean square of what the penalty takes off, were scores to differ from their prior as much as utilities allow.
        """
        pairs = np.arange(len(self._rows) // 2)
        values, vectors, moment = self._decompose(pairs)
        inverse = (vectors * _inverse(values, penalty)) @ vectors.T / len(self._rows)
        residual = self._targets - self._rows @ (vectors @ (_inverse(values, penalty) * moment))
        influence = np.empty((len(pairs), self._rows.shape[1]))
        for pair in pairs:
            rows, left = self._rows[2 * pair : 2 * pair + 2], residual[2 * pair : 2 * pair + 2]
            leverage = rows @ inverse @ rows.T
            influence[pair] = inverse @ rows.T @ np.linalg.lstsq(np.eye(2) - leverage, left, rcond=1e-6)[0]
        taken = np.eye(self._rows.shape[1]) - self._fixed - (vectors * values * _inverse(values, penalty)) @ vectors.T
        widest = np.square(self._targets).mean() / np.square(self._rows).sum(axis=1).mean()
        stderr: np.ndarray = np.sqrt(np.square(influence).sum(axis=0) + widest * np.square(taken).sum(axis=1))
        return stderr

    def kept(self, penalty: float) -> float:
        """The share of the scores' differences that the penalty keeps: mean of e / (e + penalty) over eigenvalues e."""
        values = self._decompose(np.arange(len(self._rows) // 2))[0][1:]
        return float(np.mean(values * _inverse(values, penalty)))

    def _decompose(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors of the mean XᵀX, and the mean Xᵀy in the eigenvectors' basis."""
        rows, targets = self._of(pairs)
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        return values, vectors, vectors.T @ (rows.T @ targets) / len(rows)

    def _of(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
        return self._rows[index], self._targets[index]


def _inverse(eigenvalues: np.ndarray, penalty: float) -> np.ndarray:
    """1 / (e + penalty), and 0 for directions that no row has."""
    inverse: np.ndarray = np.where(eigenvalues > 1e-10, 1 / np.maximum(eigenvalues + penalty, 1e-10), 0.0)
    return inverse
