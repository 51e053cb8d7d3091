"""The rows that may be selected, as params and the tables of earlier stages have it."""

import pandas as pd

from shed.params import Params
from shed.selection.candidates import candidates


def read_candidates(params: Params) -> pd.DataFrame:
    """Those of the whole pool where all of it is asked for."""
    clusters, lengths = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/lengths.parquet")
    return candidates_of(params, clusters, lengths, pd.read_parquet("data/ratings.parquet"))


def candidates_of(params: Params, clusters: pd.DataFrame, lengths: pd.DataFrame, ratings: pd.DataFrame) -> pd.DataFrame:
    """The same, of tables that were read."""
    too_long = params.sample.too_long or params.sampler == "full"
    return candidates(clusters, lengths, ratings, params.rate.per, too_long)
