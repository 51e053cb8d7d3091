"""What params say of a selection: its size, and the order of one that was made elsewhere.

In: params, and the rows that may be selected, or the pool. Out: a `Size`, or an `Order`.
"""

import sys
from collections.abc import Iterable

import pandas as pd

from shed.data.records import Record
from shed.params import Params
from shed.selection.given.files import given_file, read_given
from shed.selection.given.order import Order, order_of
from shed.selection.sampling import Size, budget
from stages.shared.paths import located
from stages.shared.settings.reading import reader_settings


def sample_size(params: Params, table: pd.DataFrame) -> Size:
    """How much a selection from these candidates takes."""
    sample = params.sample
    there = int(Size(0, sample.budget).costs(table).sum())
    return budget(there, sample.fraction, sample.amount, sample.budget)


def given_order(params: Params, where: str, pool: Iterable[Record]) -> Order:
    """The order of a selection that was made elsewhere; how it was taken is told."""
    order = order_of(read_given(given_file(located(where)), reader_settings(params.data.reading)), pool)
    print(f"shed: {order.told()}", file=sys.stderr)
    return order
