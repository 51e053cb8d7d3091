"""The comparison's page as a reader meets it: gains with intervals, by task and against the whole pool, and advice."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from shed.report.comparison_page import ComparisonInputs, render_comparison

GAINS = pd.DataFrame(
    {
        "fraction": [0.1, 0.1],
        "method": ["qocs", "random"],
        "seeds": [5, 5],
        "loss": [5.4, 5.6],
        "loss_gain": [0.2, np.nan],
        "loss_gain_low": [0.1, np.nan],
        "loss_gain_high": [0.3, np.nan],
        "loss_p_holm": [0.01, np.nan],
        "choice_loss": [1.41, 1.45],
        "choice_loss_gain": [0.04, np.nan],
        "choice_loss_gain_low": [0.01, np.nan],
        "choice_loss_gain_high": [0.07, np.nan],
        "choice_loss_p_holm": [0.02, np.nan],
        "accuracy": [0.33, 0.32],
        "accuracy_gain": [0.01, np.nan],
        "accuracy_gain_low": [-0.01, np.nan],
        "accuracy_gain_high": [0.03, np.nan],
        "accuracy_p_holm": [0.4, np.nan],
    }
)
COMPARED = ComparisonInputs(
    test=GAINS,
    dev=GAINS.assign(loss_gain=[0.9, np.nan]),
    by_task=pd.concat([GAINS.assign(task="commonsenseqa"), GAINS.assign(task="mmlu", loss_gain=[-0.4, np.nan])]),
    with_top=GAINS[:1].assign(loss_gain=[-0.6]),
    with_all=GAINS[:1].assign(method="top", fraction=0.05, loss_gain=[0.7]),
    costs=pd.DataFrame({"method": ["random", "qocs"], "fte": [0.0, 31.3], "seconds": [0.0, 181.0]}),
)


@pytest.fixture(scope="module")
def page() -> str:
    return render_comparison(COMPARED)


def text(markup: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", markup).split())


def test_a_gain_has_its_interval_and_its_p_value(page: str) -> None:
    row = re.search(r'<th scope="row">qocs<br>(.*?)</tr>', page, re.DOTALL)
    assert row is not None
    assert "+0.200 p 0.010 [+0.100, +0.300]" in text(row[1])


def test_which_method_to_take_is_what_dev_says_with_what_it_costs(page: str) -> None:
    assert "By loss: the largest gain is that of qocs , +0.900 [+0.100, +0.300] on dev and +0.200 on test, for 31 FTE" in text(
        page
    )
    assert "By accuracy: on dev no method is significantly better than random rows" in text(page)


def test_gains_by_task_and_against_the_whole_pool(page: str) -> None:
    tables = {label: text(body) for label, body in re.findall(r'aria-label="([^"]+)"><table>(.*?)</table>', page, re.DOTALL)}
    by_task = tables["Gains on each task"].split()
    assert by_task.index("+0.200") < by_task.index("-0.400")
    assert "random" not in by_task
    assert "+0.700" in tables["Comparison with the whole pool"]
    assert "-0.600" in tables["Comparison with the default"]
    assert "31.3 FTE 181 s" in tables["Comparison of methods"]


def test_headings_nest_and_the_picture_is_described(page: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert len(re.findall(r'<figure><svg role="img" aria-label="', page)) == 1


def test_a_name_of_a_method_is_text_and_never_markup() -> None:
    evil = ComparisonInputs(**{**vars(COMPARED), "test": GAINS.assign(method=["<script>", "random"])})
    assert "<script>" not in render_comparison(evil)


def test_runs_of_few_seeds_have_gains_without_intervals() -> None:
    few = GAINS.drop(columns=[column for column in GAINS if column.endswith(("_low", "_high", "_p_holm"))])
    inputs = ComparisonInputs(**{**vars(COMPARED), "test": few.assign(loss_gain=np.nan).drop(columns="loss_gain")})
    assert "Which selection wins?" in render_comparison(inputs)
