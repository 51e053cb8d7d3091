"""Which records may not be selected, as params and the tables of earlier stages have it.

In: the group `sample`, and lengths. Out: why a record is left out, or the prompt fit that it must have.
"""

import pandas as pd

from shed.params import Sample
from shed.selection.candidates import LeastFit, left_out


def read_left_out(sample: Sample, lengths: pd.DataFrame) -> "pd.Series[str]":
    """Why each record of these lengths is left out, by its id; None where it may be selected."""
    return left_out(lengths, sample.too_long, read_least_fit(sample)).set_axis(lengths["id"])


def read_least_fit(sample: Sample) -> LeastFit | None:
    """The prompt fit that is asked for, beside those that the stage `quality` found; None where none is asked for."""
    least = sample.exclude.prompt_fit
    return None if least is None else LeastFit(pd.read_parquet("data/quality.parquet"), least)
