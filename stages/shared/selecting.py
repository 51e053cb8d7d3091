"""What a selection is made of, as params and earlier stages have it.

In: params, and the tables of clusters, lengths and ratings. Out: the candidates, the size, or the order of a given selection.
"""

import sys
from collections.abc import Sequence

import pandas as pd

from shed.data.records import Record
from shed.params import Params
from shed.selection.candidates import candidates
from shed.selection.given.files import given_file, read_given
from shed.selection.given.order import Order, order_of
from shed.selection.sampling import Size, budget
from stages.shared.paths import located
from stages.shared.reading import reader_settings


def read_candidates(params: Params) -> pd.DataFrame:
    """The rows that may be selected, of the whole pool where all of it is asked for."""
    clusters, lengths = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/lengths.parquet")
    too_long = params.sample.too_long or params.sampler == "full"
    return candidates(clusters, lengths, pd.read_parquet("data/ratings.parquet"), params.rate.per, too_long)


def sample_size(params: Params, table: pd.DataFrame) -> Size:
    """How much a selection from these candidates takes."""
    sample = params.sample
    there = int(Size(0, sample.budget).costs(table).sum())
    return budget(there, sample.fraction, sample.amount, sample.budget)


def given_order(params: Params, where: str, pool: Sequence[Record]) -> Order:
    """The order of a selection that was made elsewhere; how it was taken is told."""
    order = order_of(read_given(given_file(located(where)), reader_settings(params.data.reading)), pool)
    print(f"shed: {order.told()}", file=sys.stderr)
    return order
