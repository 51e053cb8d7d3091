"""Ridge regression of scores, beside a few effects that no penalty shrinks.

In: a row for each pair of coalitions. Out: scores, their standard errors, and the penalty that predicts best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PENALTIES = np.concatenate([[0.0], np.logspace(-6, 3, 28)])


@dataclass(frozen=True)
class Problem:
    """Least squares for targets ≈ rows · d + free · c, with a penalty on d alone; scores are prior + d + c · shifts.

    Attributes:
        rows: (m, P) of m pairs of coalitions, independent of each other.
        targets: (m,) in units of utility.
        free: (m, k) columns of effects that are not shrunk.
        shifts: (k, P) what a unit of each of these effects adds to the scores.
        prior: (P,) the scores where there is no evidence.
        sum_known: whether the scores' sum is that of the prior, and rows know nothing of it.
        undrawn: the share of all pairs that there are which is not among these. What scores do not explain is chance only as
            far as pairs are left to chance, so the penalty is multiplied by it. Standard errors are not: they allow for
            utilities that are themselves noisy.
    """

    rows: np.ndarray
    targets: np.ndarray
    free: np.ndarray
    shifts: np.ndarray
    prior: np.ndarray
    sum_known: bool
    undrawn: float = 1.0

    def scores(self, pairs: np.ndarray, penalty: float) -> np.ndarray:
        """(P,) scores from the pairs of these indices."""
        fit = _Fit(self.rows[pairs], self.targets[pairs], self.free[pairs])
        differences, effects = fit.solution(np.array([penalty]))
        scores: np.ndarray = self.prior + differences[:, 0] + effects[:, 0] @ self.shifts
        return scores

    def errors(self, folds: Sequence[np.ndarray]) -> np.ndarray:
        """(folds, penalties) mean squared errors on each fold, of what is fitted without it."""
        errors = np.empty((len(folds), len(PENALTIES)))
        for own, fold in zip(errors, folds, strict=True):
            others = np.concatenate([other for other in folds if other is not fold])
            differences, effects = _Fit(self.rows[others], self.targets[others], self.free[others]).solution(PENALTIES)
            predicted = self.rows[fold] @ differences + self.free[fold] @ effects
            own[:] = np.square(predicted - self.targets[fold, None]).mean(axis=0)
        return errors

    def stderr(self, penalty: float) -> np.ndarray:
        """(P,) standard errors, of two parts.

        The first is the spread of the sum that a score is, over pairs: each pair's part in it by the residual the pair would
        have if it were left out (HC3). The second is the mean square of what the penalty takes off, were scores to differ
        from their prior as much as utilities allow.
        """
        fit = _Fit(self.rows, self.targets, self.free)
        pairs, players = self.rows.shape
        differences, effects = fit.solution(np.array([penalty]))
        residuals = self.targets - self.rows @ differences[:, 0] - self.free @ effects[:, 0]
        inverse = (fit.vectors * _inverse(fit.values, penalty)) @ fit.vectors.T / pairs
        weights = fit.rows @ inverse
        leverage = np.einsum("mi,im->m", self.free, fit.back) + np.einsum("mi,mi->m", weights, fit.rows)
        # a pair that alone decides its own fit says nothing of its error
        left_out = np.where(leverage < 1 - 1e-6, residuals / np.maximum(1 - leverage, 1e-6), 0.0)
        carried = np.eye(players) - (fit.back @ self.rows).T @ self.shifts  # a difference moves the free effects, too
        influence = left_out[:, None] * (weights @ carried + fit.back.T @ self.shifts)
        taken = np.eye(players) - (fit.vectors * fit.values * _inverse(fit.values, penalty)) @ fit.vectors.T
        taken = (taken - self.sum_known / players) @ carried
        freedom = max(1, pairs - self.free.shape[1])
        widest = np.square(fit.targets).sum() / freedom / np.square(self.rows).sum(axis=1).mean()
        stderr: np.ndarray = np.sqrt(np.square(influence).sum(axis=0) + widest * np.square(taken).sum(axis=0))
        return stderr

    def kept(self, penalty: float) -> float:
        """The share of the scores' differences that the penalty keeps: mean of e / (e + penalty) over eigenvalues e."""
        values = _Fit(self.rows, self.targets, self.free).values[1:]
        return float(np.mean(values * _inverse(values, penalty)))


def chosen(problems: Sequence[Problem], folds: Sequence[np.ndarray], few: bool) -> tuple[Problem, float]:
    """The problem and the penalty with the least squared error on left-out pairs; if `few`, the problem's largest penalty
    within the standard error of the least.

    Few pairs cannot tell penalties apart, and the least error alone often takes one that keeps mostly noise.
    """
    found = [problem.errors(folds) for problem in problems]
    best = int(np.argmin([errors.mean(axis=0).min() for errors in found]))
    mean, least = found[best].mean(axis=0), found[best].mean(axis=0).argmin()
    stderr = found[best][:, least].std(ddof=1) / np.sqrt(len(folds))
    penalty = PENALTIES[mean <= mean[least] + stderr].max() if few else PENALTIES[least]
    return problems[best], float(penalty) * problems[best].undrawn


class _Fit:
    """Rows and targets without what the free columns explain of them, and the eigenvectors of what is left.

    Attributes:
        back: (k, m) the pseudo-inverse of the free columns.
        values, vectors: (P,) and (P, P) of the mean product of the rows that are left.
    """

    def __init__(self, rows: np.ndarray, targets: np.ndarray, free: np.ndarray) -> None:
        self.back = np.linalg.pinv(free)
        self._all_rows, self._all_targets = rows, targets
        self.rows, self.targets = rows - free @ (self.back @ rows), targets - free @ (self.back @ targets)
        self.values, self.vectors = np.linalg.eigh(self.rows.T @ self.rows / len(rows))

    def solution(self, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The differences (P, penalties) and the free effects (k, penalties)."""
        moment = self.vectors.T @ (self.rows.T @ self.targets) / len(self.rows)
        differences = self.vectors @ (_inverse(self.values[:, None], penalties) * moment[:, None])
        return differences, self.back @ (self._all_targets[:, None] - self._all_rows @ differences)


def _inverse(eigenvalues: np.ndarray, penalty: float | np.ndarray) -> np.ndarray:
    """1 / (e + penalty), and 0 for directions that no row has."""
    inverse: np.ndarray = np.where(eigenvalues > 1e-10, 1 / np.maximum(eigenvalues + penalty, 1e-10), 0.0)
    return inverse
