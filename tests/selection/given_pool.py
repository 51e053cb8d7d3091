"""A pool whose rows have ids of their own, and the files that a selection of it may come in."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.data.readers import ReaderSettings
from shed.data.records import Record, read_records
from shed.selection.given.files import given_file, read_given
from shed.selection.given.order import Order, order_of

DEFAULT = ReaderSettings(None, None, None, (), "all", 1.0)
GIVEN = [{"id": f"mine-{n}", "instruction": f"Add {n} and 1.", "output": f"It is {n + 1}."} for n in range(6)]


def make_pool(folder: Path) -> list[Record]:
    """Six records, as `prepare` leaves them: read from a user's rows, which have ids of their own, and in another order."""
    path = write(folder / "mine.jsonl", GIVEN)
    given = read_given(path, DEFAULT)
    records = [entry.record for entry in given.entries if entry.record is not None]
    shuffled = [records[n] for n in (3, 0, 5, 1, 4, 2)]
    prepared = folder / "pool.jsonl"
    prepared.write_text("".join(json.dumps(record.to_row()) + "\n" for record in shuffled), encoding="utf-8")
    return read_records(prepared)


def write(path: Path, rows: Sequence[Any]) -> Path:
    """The rows in the form that the path's name says."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif kind == "parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif kind == "json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        lines = (row if kind == "txt" else json.dumps(row) for row in rows)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def order(path: Path, pool: Sequence[Record], settings: ReaderSettings = DEFAULT) -> Order:
    return order_of(read_given(given_file(str(path)), settings), pool)


def numbers(order: Order, pool: Sequence[Record]) -> list[int]:
    """Which of `GIVEN` were taken, in order."""
    own = {record.id: json.loads(record.given)["id"] for record in pool}
    return [int(own[id].removeprefix("mine-")) for id in order.reasons]


def refused(path: Path, pool: Sequence[Record], settings: ReaderSettings = DEFAULT) -> str:
    with pytest.raises(ShedError) as error:
        order(path, pool, settings)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(path))
    return str(error.value).removeprefix(str(path)).lstrip(":, ")
