"""What params say of a selection: its size, and the order of one that was made elsewhere.

In: params, and the rows that may be selected, or the pool. Out: a `Size`, or an `Order`.
"""

from collections.abc import Iterable

import pandas as pd

from shed.data.records import Record
from shed.params import Params
from shed.selection.given.order import Order
from shed.selection.sampling import Size
from shed.settings import selecting
from stages.shared.paths import located


def sample_size(params: Params, table: pd.DataFrame) -> Size:
    """How much a selection from these candidates takes."""
    return selecting.sample_size(params.sample, table)


def given_order(params: Params, where: str, pool: Iterable[Record]) -> Order:
    """The order of a selection that was made elsewhere; how it was taken is told."""
    return selecting.given_order(located(where), params.data.reading, pool)
