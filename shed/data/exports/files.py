"""Files of exported rows, JSON lines and Parquet, that `datasets.load_dataset` reads as they were written.

In: rows, objects of JSON values that need not have the same keys. Out: `train.jsonl` and `train.parquet`.

Columns of one type are of this type in Parquet. Others are of the type JSON (`datasets.Json`, from datasets 4.7 on), so that an
object keeps its own keys: Arrow would give it those of all others, filled with null. `datasets` finds the types of JSON lines
in the first ten megabytes, so the rows that show a new key or type stand first. It rounds numbers in JSON lines of mixed
types to ten digits after the point; in Parquet they are exact, so the card's configs name the Parquet files.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed.common.atomic_io import write_jsonl
from shed.data.exports.forms import is_readable_json

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 1000  # rows that Parquet keeps together
EXACT = 2**53  # integers up to here are floats without loss
MOST = 2**63 - 1


@dataclass(frozen=True)
class Type:
    """The type of a column or of a part of it: `kind` is a scalar's, `list` (of the only part), `struct`, `json` or `text`.

    `text` is JSON as plain text, for what `datasets` could not decode.
    """

    kind: str
    parts: tuple[tuple[str, "Type"], ...] = ()


def write_rows(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write both files into the folder; a key that a row lacks is null in Parquet."""
    rows = showing_types_first(rows)
    write_jsonl(folder / "train.jsonl", rows)
    write_parquet(folder / "train.parquet", rows)


def showing_types_first(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows; those with a key or a type of value that none before them had are the first ones."""
    seen: set[tuple[str, ...]] = set()
    first: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for row in rows:
        shape = set(_shape(row, ()))
        (rest if shape <= seen else first).append(row)
        seen |= shape
    return first + rest


def _shape(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        yield (*path, "{}")
        for key, item in value.items():
            yield from _shape(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _shape(item, (*path, "[]"))
    elif value is not None:
        yield (*path, type(value).__name__)


def column_type(values: Sequence[Any]) -> Type:
    """The narrowest type that keeps every value as it is."""
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        return Type("string")
    if kinds == {bool}:
        return Type("bool")
    if kinds == {int} and all(abs(value) <= MOST for value in values):
        return Type("int64")
    if kinds in ({float}, {int, float}) and all(isinstance(value, float) or abs(value) <= EXACT for value in values):
        return Type("float64")
    if kinds == {list}:
        part = column_type([item for value in values for item in value])
        holds_null = any(item is None for value in values for item in value)
        return part if part.kind == "text" else Type("json") if holds_null else Type("list", (("", part),))
    if kinds == {dict} and all(value and value.keys() == values[0].keys() for value in values):
        parts = {key: column_type([value[key] for value in values]) for key in values[0]}
        if all(part.kind != "json" for part in parts.values()) and "text" not in {part.kind for part in parts.values()}:
            return Type("struct", tuple(parts.items()))
    readable = all(is_readable_json(_json(value)) for value in values)
    return Type("json" if readable else "text")


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features

    names = list(dict.fromkeys(key for row in rows for key in row))
    types = {name: column_type([row.get(name) for row in rows]) for name in names}
    stored = pa.schema([(name, _storage(one)) for name, one in types.items()])
    schema = Features({name: _feature(one) for name, one in types.items()}).arrow_schema
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(rows), ROW_GROUP):
            group = rows[start : start + ROW_GROUP]
            encoded = [{name: _encoded(row.get(name), one) for name, one in types.items()} for row in group]
            writer.write_table(pa.Table.from_pylist(encoded, schema=stored).cast(schema))


def _storage(one: Type) -> "pa.DataType":
    import pyarrow as pa

    if one.kind == "list":
        return pa.list_(_storage(one.parts[0][1]))
    if one.kind == "struct":
        return pa.struct([(name, _storage(part)) for name, part in one.parts])
    return pa.string() if one.kind in ("json", "text") else pa.type_for_alias(one.kind)


def _feature(one: Type) -> Any:
    from datasets import Json, List, Value

    if one.kind == "list":
        return List(_feature(one.parts[0][1]))
    if one.kind == "struct":
        return {name: _feature(part) for name, part in one.parts}
    return Json() if one.kind == "json" else Value("string" if one.kind == "text" else one.kind)


def _encoded(value: Any, one: Type) -> Any:
    if value is None:
        return None
    if one.kind == "list":
        return [_encoded(item, one.parts[0][1]) for item in value]
    if one.kind == "struct":
        return {name: _encoded(value[name], part) for name, part in one.parts}
    return _json(value) if one.kind in ("json", "text") else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
