"""Which method to take: dev's word, the cheap one beside the best, and no word where nothing is told from random rows."""

import numpy as np
import pandas as pd

from shed.advice import Choice, advise

DEV = pd.DataFrame(
    {
        "fraction": [0.1, 0.1, 0.1, 0.1, 0.2],
        "method": ["top", "cosine", "lucky", "random", "top"],
        "loss_gain": [1.8, 1.3, 2.5, np.nan, 9.0],
        "loss_p_holm": [0.001, 0.04, 0.2, np.nan, 0.001],
        "accuracy_gain": [0.09, 0.01, -0.09, np.nan, 0.1],
        "accuracy_p_holm": [0.3, 1.0, 0.001, np.nan, 0.2],
    }
)
TEST = DEV.assign(loss_gain=[0.5, 0.4, 3.0, np.nan, 0.6])
COSTS = pd.DataFrame(
    {"method": ["top", "cosine", "lucky", "random"], "fte": [31.0, 0.0, 0.0, 0.0], "seconds": [181.0, 2, 1, 0]}
)


def test_the_best_and_the_cheapest_of_those_that_are_told_from_random_rows() -> None:
    (told,) = advise(DEV, TEST, COSTS)
    assert (told.measure, told.fraction) == ("loss", 0.1)
    assert told.best == Choice("top", 1.8, 0.5, 31.0, 181.0)
    assert told.cheapest == Choice("cosine", 1.3, 0.4, 0.0, 2.0)


def test_where_nothing_is_told_there_is_no_advice() -> None:
    assert advise(DEV.assign(loss_p_holm=0.5), TEST, COSTS) == []
    assert advise(DEV[["fraction", "method"]], TEST, COSTS) == []
    assert advise(DEV.assign(loss_gain=np.nan), TEST, COSTS) == []
