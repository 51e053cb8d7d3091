"""Rows that are in memory, read as the rows of a file are.

In: a list of dictionaries or a `datasets.Dataset`. Out: records, and rows that are none; and the rows at some
places, as they were given.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from shed.common.errors import ShedError
from shed.data.formats.arrow_files import BATCH, batch_rows
from shed.data.formats.json_values import parse_object
from shed.data.formats.opening import Bad, bad, exceeds, too_long
from shed.data.forms.found import form_found
from shed.data.forms.rows import RowReader
from shed.data.forms.values import SetAside
from shed.data.readers import FIRST_ROWS, BadRecord, ReaderSettings
from shed.data.records import Record

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

Rows: TypeAlias = Union[Sequence[Mapping[str, Any]], "Dataset"]


def read_rows(rows: Rows, split: str, settings: ReaderSettings) -> Iterator[Record | BadRecord]:
    """The records that rows are; the origin of row 3 of the pool is "pool, row 3", and its source its own or "pool".

    Args:
        split: pool, dev or test.

    Raises:
        ShedError: they are neither a list nor a Dataset, there is none, or their form is not known.
    """
    found = list(_places(rows, split, settings.max_row_bytes))
    if not found:
        raise ShedError(f"the {split} has no rows; give at least two")
    good = [value for _, value in found[:FIRST_ROWS] if not isinstance(value, Bad)]
    good = good or [value for _, value in found if not isinstance(value, Bad)][:1]
    reader: RowReader | None = None
    if good:
        columns = dict(settings.columns or {})
        form = settings.form or form_found(f"the {split}", good, columns, settings.ignore)
        reader = RowReader(form, columns, frozenset(settings.ignore), settings.train_on)
    for place, value in found:
        origin = f"{split}, {place}"
        if isinstance(value, Bad) or reader is None:
            assert isinstance(value, Bad)
            yield BadRecord(origin, split, value.reason, value.text)
            continue
        try:
            yield reader.record(value, None, split, origin)
        except SetAside as reason:
            yield BadRecord(origin, split, str(reason), bad("", str(value)).text, reason.setting)


def place_of(record: Record | BadRecord) -> int:
    """Where its row stands among those of its split, from 0."""
    return int(record.origin.rpartition(" ")[2]) - 1


def rows_at(rows: Rows, places: Sequence[int]) -> Rows:
    """These rows as they were given, in this order: a Dataset of a Dataset, else a list."""
    given: Any = rows
    return given.select(places) if _is_dataset(rows) else [given[place] for place in places]


def _places(rows: Rows, split: str, limit: int) -> Iterable[tuple[str, dict[str, Any] | Bad]]:
    if _is_dataset(rows):
        places = batch_rows(f"the {split}", _batches(rows), limit)
        return ((place, value if isinstance(value, Bad) else _without_nulls(value)) for place, value in places)
    if isinstance(rows, Mapping):
        raise ShedError(f"the {split} is a {type(rows).__name__}, a mapping; give one of its splits, or a list of rows")
    if isinstance(rows, str | bytes) or not isinstance(rows, Sequence):
        raise ShedError(
            f"the {split} is a {type(rows).__name__}; give a list of dictionaries or a datasets.Dataset: of a file "
            '`load_dataset("json", data_files=FILE, split="train")`, of a table of pandas `Dataset.from_pandas(TABLE)`'
        )
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


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """In a table every object has the keys of all, so that a null inside one is taken for a key that it lacks."""
    return {key: _pruned(value) for key, value in values.items()}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value
