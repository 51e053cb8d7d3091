"""How much a selection takes, what of it is shared out evenly, and the order of one that was made elsewhere.

In: the group `sample`, and the rows that may be selected, or the pool. Out: what `shed.selection` takes.
"""

import sys
from collections.abc import Iterable

import pandas as pd

from shed.data.records import Record
from shed.params import Reading, Sample
from shed.selection.given.files import given_file, read_given
from shed.selection.given.order import Order, order_of
from shed.selection.orders.floors import Floor
from shed.selection.sampling import Size, budget
from shed.settings.reading import reader_settings

LONG_RESPONSE = 50  # tokens on average, from which ratings of whole records select the longest


def sample_size(own: Sample, table: pd.DataFrame) -> Size:
    """How much a selection from these candidates takes."""
    there = int(Size(0, own.budget).costs(table).sum())
    return budget(there, own.fraction, own.amount, own.budget)


def floor_of(own: Sample, sampler: str) -> Floor | None:
    """The part of the budget that is shared out evenly; None where none is, or all rows are taken."""
    return None if own.balance == "none" or sampler == "full" else Floor(own.balance, own.floor)


def given_order(where: str, reading: Reading, pool: Iterable[Record]) -> Order:
    """The order of a selection that was made elsewhere, from its file; how it was taken is told on stderr."""
    order = order_of(read_given(given_file(where), reader_settings(reading)), pool)
    print(f"shed: {order.told()}", file=sys.stderr)
    return order
