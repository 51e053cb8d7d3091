"""The audit of scores: what they predict for coalitions that scoring has not seen, in one regime or several.

In: games to measure those coalitions in, and scores of any origin. Out: a report, and predicted and measured utilities.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shed.engine.utility import UNITS, UtilityKind
from shed.valuation.estimate import reliability
from shed.valuation.fidelity import CERTAIN, chance, lds, mean_over_draws, measure, predictions
from shed.valuation.proxy_game import ProxyGame


@dataclass(frozen=True)
class AuditedRegime:
    """Where scores are audited.

    Attributes:
        utility: what is measured.
        coalitions: (m, P) bool.
        draws: for each draw of initial weights and batches what opens its game; utilities are averaged over them.
    """

    utility: UtilityKind
    coalitions: np.ndarray
    draws: Sequence[Callable[[], AbstractContextManager[ProxyGame]]]


@dataclass(frozen=True)
class Audit:
    """What an audit finds.

    Attributes:
        report: for each regime the LDS of each kind of scores, and how well the utilities themselves are known.
        points: for each regime the utilities that the first kind of scores predicts, and the measured ones.
    """

    report: dict[str, dict[str, Any]]
    points: dict[str, pd.DataFrame]


def audit(regimes: Mapping[str, AuditedRegime], scores: Mapping[str, np.ndarray], seed: int) -> Audit:
    """Measure coalitions in each regime, and compare them with what each kind of scores (P,) predicts.

    Args:
        regimes: by name; v(∅), from which predictions count, is the first one's.
        scores: by name; the first kind is the one whose predictions are kept.
        seed: of bootstraps and random scores.

    Raises:
        ShedError: too few coalitions are finite.
    """
    first, *_ = scores.values()
    v_none: float | None = None
    report: dict[str, dict[str, Any]] = {}
    points: dict[str, pd.DataFrame] = {}
    for name, regime in regimes.items():
        draws = []
        for number, opened in enumerate(regime.draws, start=1):
            with opened() as game:
                if v_none is None:
                    v_none = float(game.play.value(np.zeros((1, len(first)), dtype=bool))[0])
                which = f"{name} regime" + (f", draw {number} of {len(regime.draws)}" if len(regime.draws) > 1 else "")
                draws.append(measure(game.play, regime.coalitions, which))
        found = mean_over_draws(regime.coalitions, draws, name)
        report[name] = {
            "coalitions": len(found.utilities),
            "diverged": len(regime.coalitions) - len(found.utilities),
            "utility": regime.utility,
            "unit": UNITS[regime.utility],
            "draws_agree": found.draws_agree,
            "ceiling": found.ceiling,
            "utility_std": float(found.utilities.std(ddof=1)),
            **{kind: lds(found, values, seed) for kind, values in scores.items()},
            "random": chance(found, seed),
        }
        points[name] = predictions(found, first, v_none or 0.0)
    return Audit(report, points)


def certainty_of(scores: pd.DataFrame) -> dict[str, float | None]:
    """How reliable the scores' order is between halves of the rounds, and the share of signs that are certain at 95 %.

    Args:
        scores: `shapley_of_one_half`, `shapley_of_other_half`, `shapley_sign_certainty`, a row for each player.
    """
    certainty = scores["shapley_sign_certainty"].to_numpy()
    between = reliability(scores["shapley_of_one_half"].to_numpy(), scores["shapley_of_other_half"].to_numpy())
    return {
        "rank_reliability": None if np.isnan(between) else between,
        "certain_signs": None if np.isnan(certainty).any() else float((certainty > CERTAIN).mean()),
    }
