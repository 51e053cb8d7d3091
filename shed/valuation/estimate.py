"""The one contract of estimators: what every way of scoring players returns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Estimate:
    """Shapley scores of P players, in units of utility.

    Attributes:
        scores: (P,) float64.
        stderr: (P,) float64, standard errors over independent repetitions; NaN where there was one only.
        v_none: v(∅), measured.
        v_all: v of all players, measured. An exact solution has `scores.sum() == v_all - v_none`.
        evaluations: distinct coalitions that the estimate rests on.
        convergence: a row for each repetition: `iteration`, `stderr` (mean over players) and `rank_correlation`
            (Spearman of the scores so far with the final ones).
    """

    scores: np.ndarray
    stderr: np.ndarray
    v_none: float
    v_all: float
    evaluations: int
    convergence: pd.DataFrame


def average(repetitions: np.ndarray) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Scores, standard errors and convergence from (k, P) independent repetitions of each player's score."""
    from scipy.stats import spearmanr

    scores = repetitions.mean(axis=0)
    rows = []
    for k in range(1, len(repetitions) + 1):
        so_far = repetitions[:k].mean(axis=0)
        rank = spearmanr(so_far, scores).statistic if np.ptp(so_far) and np.ptp(scores) else np.nan
        rows.append({"iteration": k, "stderr": float(_stderr(repetitions[:k]).mean()), "rank_correlation": float(rank)})
    return scores, _stderr(repetitions), pd.DataFrame(rows)


def _stderr(repetitions: np.ndarray) -> np.ndarray:
    k = len(repetitions)
    return repetitions.std(axis=0, ddof=1) / np.sqrt(k) if k > 1 else np.full(repetitions.shape[1], np.nan)
