"""The one contract of estimators, and what every one of them returns.

In: a game. Out: an `Estimate` after each round.

An estimator is a small frozen dataclass in a file of its own. It plays a game in rounds: after each round it yields a better
`Estimate`, until it is done or the game, which counts, raises `BudgetExhausted`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import spearmanr

from shed.valuation.game import DifferentiableGame


@dataclass(frozen=True)
class Estimate:
    """Shapley scores of P players, in units of utility.

    Attributes:
        scores: (P,) float64.
        stderr: (P,) float64, standard errors; NaN where one repetition gives none.
        v_none: v(∅), measured.
        v_all: v of all players, measured. An exact solution has `scores.sum() == v_all - v_none`.
        halves: (2, P) scores of the two halves of the rounds, for the rank stability between them; None before there are two.
        records: (N,) scores of the single records, which sum to their players'; None where the estimator has none.
        candidates: (B,) what candidates' scores would be; None where the estimator has none.
        notes: what a reader of the scores must know, a sentence each.
        dof: degrees of freedom of a standard error, the repetitions behind it but one.
    """

    scores: np.ndarray
    stderr: np.ndarray
    v_none: float
    v_all: float
    halves: np.ndarray | None = None
    records: np.ndarray | None = None
    candidates: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    dof: float = np.inf

    @property
    def rank_stability(self) -> float:
        """The reliability of the scores' order between the halves; NaN where there are none."""
        return float("nan") if self.halves is None else reliability(*self.halves)


class Estimator(Protocol):
    """A way to score players."""

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        """Ever better estimates, one after each round of evaluations."""
        ...


def average(
    repetitions: np.ndarray,
    v_none: float,
    v_all: float,
    weights: np.ndarray | None = None,
) -> Estimate:
    """The mean of (k, P) independent repetitions, without those that hold NaN (their tuning diverged).

    Args:
        weights: (k, P) what each repetition counts for each player; None: all alike. Repetitions are taken to spread alike
            whatever they count, so that an uneven mean has the larger error.

    Raises:
        ValueError: every repetition holds NaN.
    """
    kept = np.isfinite(repetitions).all(axis=1)
    repetitions = repetitions[kept]
    counts = np.ones_like(repetitions) if weights is None else weights[kept]
    k, players = repetitions.shape
    if not k:
        raise ValueError("no repetition is finite")
    mean = weighted_mean(repetitions, counts)
    if k == 1:
        return Estimate(mean, np.full(players, np.nan), v_none, v_all)
    total, squares = counts.sum(axis=0), np.square(counts).sum(axis=0)
    variance = (counts * np.square(repetitions - mean)).sum(axis=0) / (total - squares / total)
    stderr = np.sqrt(variance * squares) / total
    halves = np.stack([weighted_mean(repetitions[half::2], counts[half::2]) for half in (0, 1)])
    return Estimate(mean, stderr, v_none, v_all, halves, dof=k - 1)


def weighted_mean(repetitions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P,) the mean of (k, P) repetitions by (k, P) weights."""
    mean: np.ndarray = (weights * repetitions).sum(axis=0) / weights.sum(axis=0)
    return mean


def reliability(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation between two halves of the evidence, stepped up to the whole (Spearman-Brown); NaN as that is."""
    between = rank_correlation(one, other)
    return 2 * between / (1 + between) if between > 0 else between


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's; NaN where either is all equal."""
    return float(spearmanr(one, other).statistic) if np.ptp(one) and np.ptp(other) else float("nan")
