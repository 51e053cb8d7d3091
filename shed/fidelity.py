"""How far scores can be trusted: what they predict for coalitions that no estimator has seen, against what is measured.

In: an open game and its scores. Out: predicted and measured utilities, and the linear datamodelling score (LDS, TRAK, arXiv
2303.14186, section 4.1): their Spearman correlation, with a bootstrap interval.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from shed.valuation.game import Game

RESAMPLES = 1000
SURE = 1.96  # standard errors from zero


@dataclass(frozen=True)
class Fidelity:
    """The audit: `points` has `predicted` and `measured`, a row for each coalition; `metrics` are flat."""

    points: pd.DataFrame
    metrics: dict[str, float | int | None]


def audit(game: Game, scores: np.ndarray, stderr: np.ndarray, coalitions: int, seed: int) -> Fidelity:
    """Measure random half coalitions and compare them with the sums of their players' scores.

    Args:
        game: of P players; its coalitions of other seeds than the estimator's are new to it.
        scores: (P,) to be audited.
        stderr: (P,) their standard errors; NaN where unknown.
        coalitions: how many to measure; the interval is wide below 20.
        seed: of the coalitions and the bootstrap.
    """
    halves = np.zeros((coalitions, game.players), dtype=bool)
    for i, half in enumerate(halves):
        half[np.random.default_rng([seed, i]).permutation(game.players)[: game.players // 2]] = True
    v_none, *measured = game.value(np.concatenate([np.zeros((1, game.players), dtype=bool), halves]))
    points = pd.DataFrame({"predicted": v_none + halves @ scores, "measured": measured})
    rng = np.random.default_rng([seed, coalitions])
    resampled = [_spearman(points.iloc[rng.integers(0, coalitions, coalitions)]) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return Fidelity(
        points,
        {
            "coalitions": coalitions,
            "lds": _spearman(points),
            "lds_low": float(low),
            "lds_high": float(high),
            "pearson": float(pearsonr(points["predicted"], points["measured"]).statistic),
            "measured_std": float(points["measured"].std()),
            "certain_signs": None if np.isnan(stderr).any() else float((np.abs(scores) > SURE * stderr).mean()),
        },
    )


def _spearman(points: pd.DataFrame) -> float:
    if points["predicted"].nunique() < 2 or points["measured"].nunique() < 2:
        return float("nan")
    return float(spearmanr(points["predicted"], points["measured"]).statistic)
