"""The rows that may be selected, as params and the tables of earlier stages have it."""

import pandas as pd

from shed.params import Params
from shed.selection.candidates import LeastFit, candidates
from stages.shared.left_out import read_least_fit


def read_candidates(params: Params) -> pd.DataFrame:
    """Those of the whole pool where all of it is asked for."""
    clusters, lengths = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/lengths.parquet")
    return candidates_of(params, clusters, lengths, pd.read_parquet("data/ratings.parquet"), read_least_fit(params.sample))


def candidates_of(
    params: Params, clusters: pd.DataFrame, lengths: pd.DataFrame, ratings: pd.DataFrame, fit: LeastFit | None
) -> pd.DataFrame:
    """The same, of tables that were read, and the prompt fit that a record must have."""
    own, whole = params.sample, params.sampler == "full"
    return candidates(clusters, lengths, ratings, params.rate.per, own.too_long or whole, None if whole else fit)
