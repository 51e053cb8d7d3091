"""Which method to take: what dev says of the methods that were compared, with what each costs.

In: tables of `shed.evaluation.comparison.compare` of dev and test, and costs. Out: for each measure the method that gains most
over random rows, those within its interval, and the cheapest that is significantly better than random rows. Dev decides; test
stands beside it.
"""

from typing import NamedTuple

import pandas as pd

from shed.evaluation.comparison import MEASURES, Measure, at_the_share_of_most

LEVEL = 0.05  # of the corrected p-value


class Choice(NamedTuple):
    """A method, its gains over random rows with the interval of that on dev, and what it costs to select by it."""

    method: str
    dev_gain: float
    dev_low: float
    dev_high: float
    test_gain: float
    fte: float
    seconds: float


class Recommendation(NamedTuple):
    """Of the methods that are significantly better than random rows: the best, the others within its interval, the cheapest."""

    best: Choice
    level: list[str]
    cheapest: Choice


class Advice(NamedTuple):
    """By a measure at a share of the pool; `recommendation` is None where on dev no method is significantly
    better than random rows."""

    measure: Measure
    fraction: float
    recommendation: Recommendation | None


def advise(dev: pd.DataFrame, test: pd.DataFrame, costs: pd.DataFrame) -> list[Advice]:
    """One advice for each measure that dev and test have, at the share that most methods were run at.

    Args:
        dev, test: of the same methods and shares.
        costs: `method`, `fte`, `seconds`; a method that is not there is left out.
    """
    compared = at_the_share_of_most(dev)
    of_test = test.set_index(["method", "fraction"]).add_suffix("_test").reset_index()
    both = compared.merge(of_test, on=["method", "fraction"]).merge(costs, on="method")
    if both.empty:
        return []
    share = float(both["fraction"].iloc[0])
    return [
        Advice(measure, share, _recommendation(both, measure))
        for measure in MEASURES
        if {f"{measure}_gain", f"{measure}_gain_test"} <= set(both.columns)
    ]


def _recommendation(both: pd.DataFrame, measure: Measure) -> Recommendation | None:
    ahead = both[(both[f"{measure}_p_holm"] < LEVEL) & (both[f"{measure}_gain"] > 0)]
    if ahead.empty:
        return None
    columns = [f"{measure}_{what}" for what in ("gain", "gain_low", "gain_high", "gain_test")]
    choices = [Choice(*row) for row in ahead[["method", *columns, "fte", "seconds"]].itertuples(index=False)]
    by_gain = sorted(choices, key=lambda choice: -choice.dev_gain)
    level = [choice.method for choice in by_gain[1:] if choice.dev_gain >= by_gain[0].dev_low]
    return Recommendation(by_gain[0], level, min(choices, key=lambda choice: (choice.fte, choice.seconds)))
