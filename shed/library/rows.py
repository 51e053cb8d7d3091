"""Rows that are in memory, read as the rows of a file are.

In: a list of dictionaries or a `datasets.Dataset`. Out: records, and rows that are none; and the rows at some
places, as they were given.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from shed.common.errors import ShedError
from shed.data.files import BadRow, Row
from shed.data.formats.arrow_files import BATCH, batch_rows
from shed.data.formats.json_values import parse_object
from shed.data.formats.opening import Bad, bad, exceeds, too_long
from shed.data.readers import BadRecord, ReaderSettings, Reading, records_of, without_nulls
from shed.data.records import Record

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

Rows: TypeAlias = Union[Sequence[Mapping[str, Any]], "Dataset"]
HOW = (
    "give a list of dictionaries or a datasets.Dataset: of a file "
    '`load_dataset("json", data_files=FILE, split="train")`, of a table of pandas `Dataset.from_pandas(TABLE)`'
)


def read_rows(rows: Rows, split: str, settings: ReaderSettings, task: str | None = None) -> Iterator[Record | BadRecord]:
    """The records that rows are; the origin of row 3 of the pool is "pool, row 3", and its source its own or "pool".

    Args:
        split: pool, dev or test.
        task: the dev task that the rows are of, which is then the source of all.

    Raises:
        ShedError: they are neither a list nor a Dataset, there is none, or their form is not known.
    """
    what = split if task is None else f"{split} task {task}"
    empty = True
    places = (_row(f"{what}, {place}", value, split) for place, value in _places(rows, what, settings.max_row_bytes))
    found = map(without_nulls, places) if _is_dataset(rows) else places
    for one in records_of(found, f"the {what}", task or split, task, settings, Reading()):
        empty = False
        yield one
    if empty:
        raise ShedError(f"the {what} has no rows; give at least two")


def place_of(record: Record | BadRecord) -> int:
    """Where its row stands among those of its split, from 0."""
    return int(record.origin.rpartition(" ")[2]) - 1


def rows_at(rows: Rows, places: Sequence[int]) -> Rows:
    """These rows as they were given, in this order: a Dataset of a Dataset, else a list."""
    given: Any = rows
    return given.select(places) if _is_dataset(rows) else [given[place] for place in places]


def _row(origin: str, value: dict[str, Any] | Bad, split: str) -> Row | BadRow:
    return BadRow(origin, value.reason, value.text) if isinstance(value, Bad) else Row(origin, value, split)


def _places(rows: Rows, what: str, limit: int) -> Iterable[tuple[str, dict[str, Any] | Bad]]:
    if _is_dataset(rows):
        return batch_rows(f"the {what}", _batches(rows), limit)
    if isinstance(rows, Mapping):
        raise ShedError(f"the {what} is a {type(rows).__name__}, a mapping; give one of its splits, or a list of rows")
    if isinstance(rows, str | bytes) or not isinstance(rows, Sequence):
        raise ShedError(f"the {what} is a {type(rows).__name__}; {HOW}")
    return ((f"row {n}", _object(row, limit)) for n, row in enumerate(rows, start=1))


def _object(row: Any, limit: int) -> dict[str, Any] | Bad:
    """The row as JSON has it, with what a file of JSON lines could not hold refused."""
    if not isinstance(row, Mapping):
        return bad("not a dictionary", str(row))
    try:
        text = json.dumps(dict(row), ensure_ascii=False)
    except RecursionError:
        return bad("nested too deeply", "")
    except (TypeError, ValueError) as error:
        return bad(f"a value that JSON cannot hold ({error})", str(row))
    return bad(too_long(limit), text) if exceeds(text, limit) else parse_object(text)


def _batches(rows: "Dataset") -> Iterator["pa.RecordBatch"]:
    for table in rows.with_format("arrow").iter(batch_size=BATCH):  # as stored: no image or sound is decoded
        yield from table.to_batches()


def _is_dataset(rows: Any) -> bool:
    from datasets import Dataset

    return isinstance(rows, Dataset)
