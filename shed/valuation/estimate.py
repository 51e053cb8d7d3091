"""The one contract of estimators, and what every one of them returns.

An estimator is a small frozen dataclass in a file of its own. It plays a game in rounds: after each round it yields a better
`Estimate`, until it is done or the game, which counts, raises `Spent`.
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
        notes: what a reader of the scores must know, a sentence each.
    """

    scores: np.ndarray
    stderr: np.ndarray
    v_none: float
    v_all: float
    halves: np.ndarray | None = None
    records: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def rank_stability(self) -> float:
        """Spearman correlation between the halves, stepped up to the whole (Spearman-Brown); NaN where there are none."""
        if self.halves is None:
            return float("nan")
        between = rank_correlation(*self.halves)
        return 2 * between / (1 + between) if between > 0 else between


class Estimator(Protocol):
    """A way to score players."""

    def least(self, game: DifferentiableGame) -> str:
        """What the first estimate takes, in words, for a budget that is too small."""
        ...

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        """Ever better estimates, one after each round of evaluations."""
        ...


def average(repetitions: np.ndarray, v_none: float, v_all: float, records: np.ndarray | None = None) -> Estimate:
    """The mean of (k, P) independent repetitions, without those that hold NaN (their tuning diverged).

    Args:
        records: (k, N) the same for single records.

    Raises:
        ValueError: every repetition holds NaN.
    """
    kept = np.isfinite(repetitions).all(axis=1)
    repetitions = repetitions[kept]
    k, players = repetitions.shape
    if not k:
        raise ValueError("no repetition is finite")
    stderr = repetitions.std(axis=0, ddof=1) / np.sqrt(k) if k > 1 else np.full(players, np.nan)
    halves = np.stack([repetitions[::2].mean(axis=0), repetitions[1::2].mean(axis=0)]) if k > 1 else None
    own = None if records is None else records[kept].mean(axis=0)
    return Estimate(repetitions.mean(axis=0), stderr, v_none, v_all, halves, own)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's; NaN where either is all equal."""
    return float(spearmanr(one, other).statistic) if np.ptp(one) and np.ptp(other) else float("nan")
