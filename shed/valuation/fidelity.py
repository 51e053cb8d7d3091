"""How far scores can be trusted: what they predict for coalitions that no estimator has seen, against what is measured.

In: random half coalitions with measured utilities, in the scoring regime or in the target regime, and scores of any origin.
Out: predicted and measured utilities, and the linear datamodelling score (LDS, TRAK, arXiv 2303.14186, section 4.1): their
Spearman correlation, with a bootstrap interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, count
from math import comb

import numpy as np
import pandas as pd
from scipy.stats import t as student

from shed.common.errors import ShedError
from shed.common.progress import track
from shed.valuation.budget import PricedGame
from shed.valuation.estimate import rank_correlation

RESAMPLES = 1000
CERTAIN = 0.975  # probability of a sign, two-sided 95 %
FEWEST, FEW = 4, 8  # coalitions: for an audit, and for its interval
Z = 1.96  # of an interval of 95 %


@dataclass(frozen=True)
class MeasuredCoalitions:
    """Coalitions and their utilities, without those that diverged.

    Attributes:
        coalitions: (m, P) bool.
        utilities: (m,) means over draws of initial weights and batches.
        draws_agree: mean Spearman correlation between the utilities of two draws; None for one draw, or where not defined.
        ceiling: about the LDS that true scores would have, whose predictions are without a draw's noise: the root of the
            reliability of the mean over draws (Spearman-Brown of `draws_agree`); None as that is, and where it is not above 0.
    """

    coalitions: np.ndarray
    utilities: np.ndarray
    draws_agree: float | None = None
    ceiling: float | None = None


def half_coalitions(players: int, most: int, seed: int) -> np.ndarray:
    """(most, players) bool: random halves, each another one; fewer, if there are not so many. More add to fewer."""
    size = players // 2
    found: dict[bytes, np.ndarray] = {}
    for draw in count():
        if len(found) == min(most, comb(players, size)):
            break
        half = np.zeros(players, dtype=bool)
        half[np.random.default_rng([seed, draw]).permutation(players)[:size]] = True
        found.setdefault(half.tobytes(), half)
    return np.array(list(found.values())).reshape(-1, players)


def measure(game: PricedGame, coalitions: np.ndarray, what: str) -> np.ndarray:
    """(m,) the utility of each coalition (m, P) bool, tuned and measured; not finite where the tuning diverged."""
    found = track(game.find_or_evaluate(coalitions), what, "coalition", len(coalitions))
    return np.array([evaluation.utility for evaluation in found], dtype=np.float64)


def mean_over_draws(coalitions: np.ndarray, draws: Sequence[np.ndarray], regime: str) -> MeasuredCoalitions:
    """Coalitions (m, P) bool with the means of their utilities (m,) in each of some draws.

    Raises:
        ShedError: fewer than FEWEST coalitions are there, or are finite in all draws.
    """
    utilities = np.stack(draws)
    if len(coalitions) < FEWEST:
        raise ShedError(f"an audit needs at least {FEWEST} coalitions, and there are {len(coalitions)}; make more clusters")
    finite = np.isfinite(utilities).all(axis=0)
    if finite.sum() < FEWEST:
        raise ShedError(
            f"{(~finite).sum()} of {len(finite)} coalitions diverged in the {regime} regime; lower its learning rate",
            f"learning rate of the {regime} regime",
        )
    utilities = utilities[:, finite]
    pairs = [rank_correlation(one, other) for one, other in combinations(utilities, 2)]
    agree = float(np.mean(pairs)) if pairs and not np.isnan(pairs).any() else None
    stepped_up = len(draws) * agree / (1 + (len(draws) - 1) * agree) if agree is not None and agree > 0 else None
    return MeasuredCoalitions(
        coalitions[finite], utilities.mean(axis=0), agree, None if stepped_up is None else stepped_up**0.5
    )


def predictions(measured: MeasuredCoalitions, scores: np.ndarray, v_none: float) -> pd.DataFrame:
    """`predicted`, v(∅) and the sum of the members' scores (P,), and `measured`, a row for each coalition."""
    return pd.DataFrame({"predicted": v_none + measured.coalitions @ scores, "measured": measured.utilities})


def lds(measured: MeasuredCoalitions, scores: np.ndarray, seed: int) -> dict[str, float | None]:
    """`lds` of scores (P,), with the 95 % interval `lds_low` to `lds_high` of a bootstrap over coalitions.

    None where it is not defined: predictions or utilities are all equal. Of fewer than FEW coalitions there is no interval,
    since resamples of them are hardly ever others. Where all coalitions are in order, every resample is, too: then the interval
    is Fisher's, with the variance of Fieller, Hartley and Pearson (1957), of an order with one swap. Own code: scipy's
    percentile bootstrap has no interval as soon as one resample holds a single coalition, for which no correlation is defined;
    here such resamples are left out.
    """
    points = predictions(measured, scores, 0.0).to_numpy()
    rng = np.random.default_rng([seed, len(points)])
    resampled = [rank_correlation(*points[rng.integers(0, len(points), len(points))].T) for _ in range(RESAMPLES)]
    found = rank_correlation(*points.T)
    if np.isnan(found):
        return {"lds": None, "lds_low": None, "lds_high": None}
    count = len(points)
    if count < FEW:
        return {"lds": found, "lds_low": None, "lds_high": None}
    one_swap = 1 - 12 / (count * (count**2 - 1))
    if abs(found) > one_swap:
        end = float(np.tanh(np.arctanh(one_swap) - Z * (1.06 / (count - 3)) ** 0.5))
        return {"lds": found, "lds_low": end if found > 0 else -1.0, "lds_high": 1.0 if found > 0 else -end}
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return {"lds": found, "lds_low": float(low), "lds_high": float(high)}


def chance(measured: MeasuredCoalitions, seed: int) -> dict[str, float | None]:
    """What random scores reach on the same coalitions: their mean LDS, and the range of the middle 95 % of them."""
    rng = np.random.default_rng([seed, measured.coalitions.shape[1]])
    drawn = [
        rank_correlation(measured.coalitions @ rng.random(measured.coalitions.shape[1]), measured.utilities)
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return {"lds": float(np.nanmean(drawn)), "lds_low": float(low), "lds_high": float(high)}


def sign_certainty(scores: np.ndarray, stderr: np.ndarray, dof: float | np.ndarray) -> np.ndarray:
    """(P,) the probability that a score's sign is right, by Student's t; NaN where the standard error is.

    Args:
        dof: degrees of freedom of the standard errors; infinite for an error that is normal.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        certainty: np.ndarray = student.cdf(np.abs(scores) / stderr, dof)
    return np.where((scores == 0) & (stderr == 0), 0.5, certainty)
