"""Which method to take: what dev says of the methods that were compared, with what each costs.

In: tables of `shed.comparison.compare` of dev and test, and costs. Out: for each measure the method that gains most over random
rows, and the cheapest that is told from them. Dev decides; test is told beside it.
"""

from collections.abc import Hashable
from typing import Any, NamedTuple

import pandas as pd

from shed.comparison import MEASURES, Measure

LEVEL = 0.05  # of the corrected p-value


class Choice(NamedTuple):
    """A method, its gains over random rows, and what it costs to select by it."""

    method: str
    dev_gain: float
    test_gain: float
    fte: float
    seconds: float


class Advice(NamedTuple):
    """By a measure at a share of the pool."""

    measure: Measure
    fraction: float
    best: Choice
    cheapest: Choice


def advise(dev: pd.DataFrame, test: pd.DataFrame, costs: pd.DataFrame) -> list[Advice]:
    """One advice for each measure by which dev tells some method from random rows, at the share of most methods.

    Args:
        dev, test: of the same methods and shares.
        costs: `method`, `fte`, `seconds`; a method that is not there is left out.
    """
    if "loss_gain" not in dev:
        return []
    known = dev.dropna(subset=["loss_gain"])
    known = known[known["fraction"].isin(known["fraction"].mode()[:1])]
    both = known.merge(test, on=["method", "fraction"], suffixes=("", "_test")).merge(costs, on="method")
    advice = []
    for measure in (one for one in MEASURES if f"{one}_p_holm" in both):
        ahead = both[(both[f"{measure}_p_holm"] < LEVEL) & (both[f"{measure}_gain"] > 0)]
        if len(ahead):
            best = ahead.nlargest(1, f"{measure}_gain").to_dict("records")[0]
            cheapest = ahead.nsmallest(1, ["fte", "seconds"]).to_dict("records")[0]
            advice.append(Advice(measure, best["fraction"], _choice(best, measure), _choice(cheapest, measure)))
    return advice


def _choice(row: dict[Hashable, Any], measure: Measure) -> Choice:
    return Choice(row["method"], row[f"{measure}_gain"], row[f"{measure}_gain_test"], row["fte"], row["seconds"])
