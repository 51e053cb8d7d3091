"""Parquet, and Arrow in its file form (Feather) and its stream form.

In: a path. Out: (place, values or `Bad`) pairs, one at a time; a batch of rows is held, never the file.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed.common.errors import ShedError
from shed.data.formats.opening import Bad, bad, check_unpacked, seekable, too_long

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH = 128  # rows that become Python objects at once
LARGE = 64 << 20  # bytes of a batch
LARGE_DICTIONARY = 4 << 20  # bytes of a column's dictionary; who writes one stops at 1 MB, but for the last text
FILE_MAGIC = b"ARROW1"
BROKEN = (
    ValueError,
    OverflowError,
    LookupError,
    TypeError,
    NotImplementedError,
)  # what Arrow raises for a value it cannot give

Places = Iterator[tuple[str, dict[str, Any] | Bad]]


def parquet_rows(path: Path, packed: str | None, limit: int) -> Places:
    """The rows of a Parquet file; pages are read as they are needed, however large a row group is."""
    import pyarrow.parquet as pq

    with _source(path, packed, mapped=False) as source:
        file = pq.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False)
        source.seek(0, 2)
        size = source.tell()
        rows = _check_sizes(path, file.metadata, size)
        yield from batch_rows(path, file.iter_batches(batch_size=rows, use_threads=False), limit, size)


def arrow_rows(path: Path, packed: str | None, limit: int) -> Places:
    """The rows of an Arrow file or stream; which one it is stands in its first bytes."""
    with _source(path, packed, mapped=_has_large_batches(path, packed)) as source:
        yield from batch_rows(path, _ipc_batches(source), limit, path.stat().st_size)


def _check_sizes(path: Path, metadata: "pq.FileMetaData", size: int) -> int:
    """How many rows may be read at once, by what the file says of its columns before any of them is read.

    Raises:
        ShedError: a column is far larger than the file, or a row holds so many values.
    """
    rows = BATCH
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            check_unpacked(path, chunk.total_uncompressed_size, size)
            check_unpacked(path, 8 * chunk.num_values / max(1, group.num_rows), size)
            if chunk.has_dictionary_page and _dictionary_bytes(chunk) > LARGE_DICTIONARY:
                rows = 1  # a text may stand in each row of a batch, though the file holds it once
    return rows


def _dictionary_bytes(chunk: "pq.ColumnChunkMetaData") -> float:
    """About how large a column's dictionary is, if it is packed as well as all of the column."""
    packed: int = chunk.data_page_offset - chunk.dictionary_page_offset
    return float(packed * chunk.total_uncompressed_size / max(1, chunk.total_compressed_size))


def batch_rows(where: Path | str, batches: Iterator["pa.RecordBatch"], limit: int, size: int | None = None) -> Places:
    """The rows of record batches. NaN, which tables write for a missing number, becomes None.

    Args:
        where: what messages call them.
        batches: of rows.
        limit: bytes that one row may have.
        size: of the file that they come from, if it is one.

    Raises:
        ShedError: two columns have the same name, or the batches are far larger than the file.
    """
    number = unpacked = 0
    for batch in batches:
        if size is not None:
            unpacked += batch.nbytes
            check_unpacked(where, unpacked, size)
        names = batch.schema.names
        if twice := [name for name in names if names.count(name) > 1]:
            raise ShedError(f"{where}: two columns are called {twice[0][:40]!r}; give each its own name")
        for start in range(0, batch.num_rows, BATCH):
            part = batch.slice(start, BATCH)
            large = part.nbytes > limit
            for values in [None] if large else [_values(part)]:
                for offset in range(part.num_rows):
                    number += 1
                    one = part.slice(offset, 1)
                    yield f"row {number}", _row(one, values[offset] if values is not None else None, limit)


def _row(one: "pa.RecordBatch", values: dict[str, Any] | None, limit: int) -> dict[str, Any] | Bad:
    if values is None:
        if one.nbytes > limit:
            return bad(too_long(limit), "")
        try:
            (values,) = one.to_pylist()
        except UnicodeDecodeError:
            return bad("not UTF-8", "")
        except BROKEN:
            return bad("a value that Python cannot hold", "")
    try:
        return {key: _finite(value) for key, value in values.items()}
    except OverflowError:
        return bad("Infinity", str(values))


def _values(part: "pa.RecordBatch") -> list[dict[str, Any]] | None:
    """The rows, or None if one of them has a value that cannot be given."""
    try:
        rows: list[dict[str, Any]] = part.to_pylist()
    except BROKEN:
        return None
    return rows


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        if math.isinf(value):
            raise OverflowError
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


@contextmanager
def _source(path: Path, packed: str | None, *, mapped: bool) -> Iterator["pa.NativeFile"]:
    """The file as Arrow reads it; a packed or an empty one cannot be mapped."""
    import pyarrow as pa

    if packed is None and path.stat().st_size:
        with pa.memory_map(str(path)) if mapped else pa.OSFile(str(path)) as source:
            yield source
        return
    with seekable(path, packed) as file:
        yield pa.PythonFile(file, "r")


def _has_large_batches(path: Path, packed: str | None) -> bool:
    """True if the file is better mapped: a batch is then not copied, and the system takes its pages back when it needs them."""
    import pyarrow as pa

    with path.open("rb") as file:
        if packed is not None or file.read(6) != FILE_MAGIC:
            return False
    with pa.memory_map(str(path)) as source:
        batches: int = pa.ipc.open_file(source).num_record_batches
    return path.stat().st_size > LARGE * batches


def _ipc_batches(source: "pa.NativeFile") -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    is_file = source.read(6) == FILE_MAGIC
    source.seek(0)
    reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
    for batch in map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader:
        batch.validate(full=True)  # its offsets come from the file as they are: wrong ones would lead out of it
        yield batch
