"""The rows that may be selected, as params and the tables of earlier stages have it."""

import pandas as pd

from shed.params import Params
from shed.selection.candidates import candidates


def read_candidates(params: Params) -> pd.DataFrame:
    """Those of the whole pool where all of it is asked for."""
    clusters, lengths = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/lengths.parquet")
    too_long = params.sample.too_long or params.sampler == "full"
    return candidates(clusters, lengths, pd.read_parquet("data/ratings.parquet"), params.rate.per, too_long)
