"""Which method to take: the best on dev, the cheapest beside it, and none where no method is better than random rows."""

import numpy as np
import pandas as pd

from shed.evaluation.advice import Choice, Recommendation, advise

DEV = pd.DataFrame(
    {
        "fraction": [0.1, 0.1, 0.1, 0.1, 0.1, 0.2],
        "method": ["top", "in_run", "cosine", "lucky", "random", "top"],
        "loss_gain": [1.8, 1.7, 1.3, 2.5, np.nan, 9.0],
        "loss_gain_low": [1.4, 1.2, 0.9, -0.5, np.nan, 8.0],
        "loss_gain_high": [2.2, 2.2, 1.7, 5.5, np.nan, 10.0],
        "loss_p_holm": [0.001, 0.001, 0.04, 0.2, np.nan, 0.001],
        "accuracy_gain": [0.09, 0.02, 0.01, -0.09, np.nan, 0.1],
        "accuracy_gain_low": -0.1,
        "accuracy_gain_high": 0.2,
        "accuracy_p_holm": [0.3, 0.3, 1.0, 0.001, np.nan, 0.2],
    }
)
TEST = DEV.assign(loss_gain=[0.5, 0.6, 0.4, 3.0, np.nan, 0.6])
COSTS = pd.DataFrame(
    {"method": ["top", "in_run", "cosine", "lucky", "random"], "fte": [31.0, 28.0, 0, 0, 0], "seconds": [181.0, 211, 2, 1, 0]}
)


def test_the_best_and_the_cheapest_of_the_methods_that_are_significantly_better_than_random_rows() -> None:
    by_loss, by_accuracy = advise(DEV, TEST, COSTS)
    assert (by_loss.measure, by_loss.fraction) == ("loss", 0.1)
    assert by_loss.recommendation == Recommendation(
        Choice("top", 1.8, 1.4, 2.2, 0.5, 31.0, 181.0), ["in_run"], Choice("cosine", 1.3, 0.9, 1.7, 0.4, 0.0, 2.0)
    )
    assert (by_accuracy.measure, by_accuracy.recommendation) == ("accuracy", None)


def test_a_measure_that_only_dev_or_only_test_has_is_left_out() -> None:
    without = [name for name in DEV if not str(name).startswith("accuracy")]
    assert [one.measure for one in advise(DEV, TEST[without], COSTS)] == ["loss"]
    assert [one.measure for one in advise(DEV[without], TEST, COSTS)] == ["loss"]


def test_where_nothing_was_compared_there_is_no_advice() -> None:
    assert advise(DEV[["fraction", "method"]], TEST, COSTS) == []
    assert advise(DEV.assign(loss_gain=np.nan), TEST, COSTS) == []
