"""The same rows as files of every kind, and what reading a file gives."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from shed.common.errors import ShedError
from shed.data.files import BadRow, Row, rows

ROWS = [
    {"instruction": 'Zähle bis drei, "laut"\nund langsam', "output": "1, 2, 3 [}{]"},
    {"instruction": "Backslash \\", "output": '\\"{[,'},
    {"instruction": "x²", "output": "四 😀"},
]
LIMIT = 16_000_000


def as_json(values: list[dict[str, Any]]) -> bytes:
    return json.dumps(values).encode()


def as_lines(values: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(value, ensure_ascii=False).encode() for value in values)


def as_csv(values: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(values[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(values)
    return text.getvalue().encode()


def as_arrow(values: list[dict[str, Any]], write: Callable[[pa.Table, io.BytesIO], object]) -> bytes:
    sink = io.BytesIO()
    write(pa.Table.from_pylist(values), sink)
    return sink.getvalue()


def write_ipc(table: pa.Table, sink: io.BytesIO, new: Any = pa.ipc.new_file) -> None:
    with new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "a.json": as_json,
    "b.json": lambda values: json.dumps(values, indent=2, ensure_ascii=False).encode(),
    "lines.json": as_lines,
    "list.jsonl": as_json,
    "c.JSONL": as_lines,
    "d.ndjson": lambda values: as_lines(values).replace(b"\n", b"\r\n\r\n  \r\n") + b"\r\n",
    "keyed.json": lambda values: json.dumps({"version": 1, "data": values, "n": [1]}).encode(),
    "keyed2.json": lambda values: json.dumps({"data": values}, indent=1).encode(),
    "e.csv": as_csv,
    "f.CSV": lambda values: as_csv(values, ";"),
    "g.tsv": lambda values: as_csv(values, "\t"),
    "h.parquet": lambda values: as_arrow(values, pq.write_table),
    "i.arrow": lambda values: as_arrow(values, write_ipc),
    "j.arrow": lambda values: as_arrow(values, lambda table, sink: write_ipc(table, sink, pa.ipc.new_stream)),
    "k.feather": lambda values: as_arrow(values, feather.write_feather),
}


def packed(data: bytes, suffix: str) -> bytes:
    return data if not suffix else gzip.compress(data) if suffix == ".gz" else pa.compress(data, "zstd", asbytes=True)


def read(path: Path, data: bytes | str, list_key: str | None = None, limit: int = LIMIT) -> list[Row | BadRow]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(rows(path, list_key, limit))


def shown(found: list[Row | BadRow]) -> list[Any]:
    """The values of rows, and for bad ones the place and the reason."""
    return [row.values if isinstance(row, Row) else (row.origin.rsplit(", ", 1)[1], row.reason) for row in found]


def outcome(path: Path, data: bytes, list_key: str | None = None, limit: int = LIMIT) -> list[Row | BadRow] | str:
    """What `read` gives, or the text of its ShedError; anything else goes on."""
    try:
        return read(path, data, list_key, limit)
    except ShedError as error:
        return str(error)
