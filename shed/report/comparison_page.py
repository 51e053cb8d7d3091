"""The page of a comparison: which selection wins, by how much, on which tasks, and at what cost.

In: tables of `shed.evaluation.comparison`, and costs. Out: one HTML text, which needs no network.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from shed.evaluation.advice import advise
from shed.evaluation.comparison import MEASURES, NAMES, at_the_share_of_most
from shed.report import charts
from shed.report.templates import rendered


@dataclass(frozen=True)
class ComparisonInputs:
    """What the page shows.

    Attributes:
        test, dev: gains over random rows, by `compare`; dev decides.
        by_task: those on each test task, by `compare_by_task`.
        with_top: gains on test over `top`, the default.
        with_all: gains on test over tuning on the whole pool, by `compare_with_all`.
        costs: of selecting, `fte` and `seconds` for each `method`.
    """

    test: pd.DataFrame
    dev: pd.DataFrame
    by_task: pd.DataFrame
    with_top: pd.DataFrame
    with_all: pd.DataFrame
    costs: pd.DataFrame


def render_comparison(inputs: ComparisonInputs) -> str:
    """The whole page."""
    from markupsafe import Markup

    gains = at_the_share_of_most(inputs.test)
    if len(gains):
        gains = gains.sort_values("loss_gain", ascending=False)
    return rendered(
        "comparison.html.j2",
        rows=inputs.test.merge(inputs.costs, on="method", how="left").to_dict("records"),
        measures=[measure for measure in MEASURES if measure in inputs.test],
        names=NAMES,
        advice=advise(inputs.dev, inputs.test, inputs.costs),
        with_top=inputs.with_top.to_dict("records"),
        with_all=inputs.with_all.to_dict("records"),
        by_task=_by_task(inputs.by_task, gains),
        picture=Markup(_picture(gains)) if len(gains) else "",  # noqa: S704 – drawn by Vega from numbers
    )


def _picture(gains: pd.DataFrame) -> str:
    return charts.intervals(
        gains,
        "loss_gain",
        "loss_gain_low",
        "loss_gain_high",
        "method",
        "gain over random rows, nats per response token",
        "Gain of each method over random rows in test loss, with its 95 % interval; the table has the numbers.",
    )


def _by_task(by_task: pd.DataFrame, gains: pd.DataFrame) -> dict[str, list[dict[Hashable, Any]]]:
    """For each method with gains, best first, its gains on each task at the same share, in the tasks' order."""
    if not len(gains):
        return {}
    own = by_task[by_task["fraction"] == gains["fraction"].iloc[0]]
    return {method: own[own["method"] == method].to_dict("records") for method in gains["method"]}
