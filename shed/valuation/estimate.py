"""The one contract of estimators: what every way of scoring players returns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr


@dataclass(frozen=True)
class Estimate:
    """Shapley scores of P players, in units of utility.

    Attributes:
        scores: (P,) float64.
        stderr: (P,) float64, standard errors over independent repetitions; NaN where there was one only.
        v_none: v(∅), measured.
        v_all: v of all players, measured. An exact solution has `scores.sum() == v_all - v_none`.
        evaluations: distinct coalitions that the estimate rests on.
        convergence: rows of `evaluations` and `rank_correlation`, the Spearman correlation of the scores after as many
            evaluations with the final ones; NaN where either are all equal.
        notes: what a reader of the scores must know, a sentence each.
    """

    scores: np.ndarray
    stderr: np.ndarray
    v_none: float
    v_all: float
    evaluations: int
    convergence: pd.DataFrame
    notes: tuple[str, ...] = ()


def average(repetitions: np.ndarray, evaluations: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Scores, standard errors and convergence from (k, P) independent repetitions, of as many `evaluations` each."""
    scores = repetitions.mean(axis=0)
    rows = []
    for k in range(1, len(repetitions) + 1):
        so_far = repetitions[:k].mean(axis=0)
        rank = spearmanr(so_far, scores).statistic if np.ptp(so_far) and np.ptp(scores) else np.nan
        rows.append({"evaluations": k * evaluations, "rank_correlation": float(rank)})
    k, players = repetitions.shape
    stderr = repetitions.std(axis=0, ddof=1) / np.sqrt(k) if k > 1 else np.full(players, np.nan)
    return scores, stderr, pd.DataFrame(rows)
