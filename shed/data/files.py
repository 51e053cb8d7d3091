"""From a path to rows: a file, a folder, a glob or a Hugging Face dataset.

In: where the data is. Out: `Row`s as they stand in the files, and `BadRow`s for what could not be read, one at a time.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError
from shed.data.formats.arrow_files import arrow_rows, batch_rows, parquet_rows
from shed.data.formats.csv_files import csv_rows
from shed.data.formats.hub import SCHEME, hub_batches, is_saved, saved_batches
from shed.data.formats.json_files import json_rows, lone_object
from shed.data.formats.opening import Bad, told_in_one_line

PACKED = {".gz": "gzip", ".zst": "zstd"}
LINES = (".jsonl", ".ndjson")
KINDS = (".json", *LINES, ".csv", ".tsv", ".parquet", ".arrow", ".feather")
MOST_BYTES = 16_000_000  # of one row, unless the caller says otherwise


@dataclass(frozen=True)
class Row:
    """One row as it stands in a file.

    Attributes:
        origin: the file and the place in it, counted from 1: "path, line 3", "path, entry 3" or "path, row 3".
        values: the row's values by key; texts alone where the file is CSV or TSV.
        file: the file's name without suffixes, the source of a row that names none.
    """

    origin: str
    values: dict[str, Any]
    file: str


@dataclass(frozen=True)
class BadRow:
    """What could not be read, to be set aside.

    Attributes:
        origin: the file and the place in it, as in `Row`.
        reason: short and the same for all rows with this fault: "not valid JSON".
        text: the beginning of what stands there, printable.
    """

    origin: str
    reason: str
    text: str


def is_dataset(where: str) -> bool:
    """True for hf://… and for a folder that `datasets` saved: read by `dataset_rows`, all else by `data_files` and `rows`."""
    return where.startswith(SCHEME) or is_saved(_path(where))


def data_files(where: str) -> list[Path]:
    """The data files that a path means, sorted.

    Args:
        where: a file; a folder, for all data files in it and below it; or a glob, `**` for any depth. `~` is the home folder.
            Hidden files and folders are left out, and of a folder or glob what is no data file by its name.

    Raises:
        ShedError: nothing is there, no data file is among it, or a folder in it is one that `datasets` saved.
    """
    if where.startswith(SCHEME):
        raise ShedError(f"{where}: a dataset, not files")
    path = _path(where)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = list(_below(path))
    elif path.exists():
        raise ShedError(f"{where}: neither a file nor a folder; write the records to a file")
    elif glob.has_magic(where):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (it may be absolute)
        found = [file for match in matches for file in (_below(match) if match.is_dir() else [match])]
    else:
        raise ShedError(f"{where}: no such file or folder{from_here(path)}")
    files = sorted({file for file in found if file.is_file() and is_data_file(file)})
    if not files:
        raise ShedError(f"{where}: holds no data file; they are called {', '.join(KINDS)}, also with .gz or .zst behind")
    return files


def is_data_file(path: Path) -> bool:
    """True for a file that `rows` reads, by its name."""
    return _kind(path)[0] in KINDS


def distinct_names(files: Sequence[Path]) -> dict[Path, str]:
    """A name for each file: `file_name`, or where two have the same, the path below their common folder, with the ending if
    they have that path in common, too.
    """
    names = {file: file_name(file) for file in files}
    folder = os.path.commonpath([file.parent for file in files])
    for with_ending in (False, True):
        counts = Counter(names.values())
        for file in files:
            if counts[names[file]] > 1:
                names[file] = (file if with_ending else file.with_name(file_name(file))).relative_to(folder).as_posix()
    return names


def side_keys(path: Path) -> list[str] | None:
    """The keys of a JSON file that holds no rows, unless it is one itself, as `dataset_infos.json`; None for any other file."""
    kind, packed = _kind(path)
    if kind != ".json":
        return None
    with told_in_one_line(path):
        return lone_object(path, packed)


def from_here(path: Path) -> str:
    """For a message about a path that is not there: from where it was looked for, if it is relative."""
    return "" if path.is_absolute() else f" in {Path.cwd()}, where relative paths start"


def rows(path: Path, list_key: str | None, max_row_bytes: int = MOST_BYTES) -> Iterator[Row | BadRow]:
    """The rows of one data file, one at a time; memory does not grow with the file.

    Args:
        path: a JSON, CSV, TSV, Parquet or Arrow file by its name; its letters' case does not matter, nor does .gz or .zst.
        list_key: where a JSON file is one object: the key of the list in it; None if there is only one such list.
        max_row_bytes: a row of more bytes is a `BadRow`.

    Raises:
        ShedError: the file as a whole cannot be read, or is of no known kind.
    """
    kind, packed = _kind(path)
    with told_in_one_line(path):
        if kind == ".json" or kind in LINES:
            places: Iterable[tuple[str, Any]] = json_rows(path, packed, list_key, max_row_bytes, lines=kind in LINES)
        elif kind in {".csv", ".tsv"}:
            places = csv_rows(path, packed, max_row_bytes, "\t" if kind == ".tsv" else None)
        elif kind == ".parquet":
            places = parquet_rows(path, packed, max_row_bytes)
        elif kind in {".arrow", ".feather"}:
            places = arrow_rows(path, packed, max_row_bytes)
        else:
            raise ShedError(
                f"{path}: a data file must be one of {', '.join(KINDS)} by its name, also with .gz or .zst behind; "
                "or give a recipe (.yaml)"
            )
        yield from _rows(path, places, file_name(path))


def dataset_rows(where: str, max_row_bytes: int = MOST_BYTES) -> Iterator[Row | BadRow]:
    """The rows of a Hugging Face dataset, one at a time; its images and sounds are not decoded, and none of its code is run.

    Args:
        where: hf://datasets/OWNER/NAME@COMMIT?split=…&config=…, or a folder made by `save_to_disk` of `datasets`.
        max_row_bytes: a row of more bytes is a `BadRow`.

    Raises:
        ShedError: the address is not whole, the dataset is not there, or it has several splits and none is named.
    """
    if where.startswith(SCHEME):
        name = where.split("?")[0].split("@")[0].rsplit("/", 1)[-1]
        batches = hub_batches(where)
    else:
        name = _path(where).name
        batches = saved_batches(_path(where))
    yield from _rows(where, batch_rows(where, batches, max_row_bytes), name)


def file_name(path: Path) -> str:
    """The file's name without what says how it is written: `pool.v2.jsonl.gz` is `pool.v2`."""
    kind, packed = _kind(path)
    name = path.name[:-4] if packed == "zstd" else path.name[:-3] if packed else path.name
    return name[: len(name) - len(kind)] or path.name


def _rows(where: Path | str, places: Iterable[tuple[str, dict[str, Any] | Bad]], name: str) -> Iterator[Row | BadRow]:
    for place, value in places:
        origin = f"{where}, {place}"
        yield BadRow(origin, value.reason, value.text) if isinstance(value, Bad) else Row(origin, value, name)


def _kind(path: Path) -> tuple[str, str | None]:
    """(".jsonl", "gzip") for `pool.JSONL.gz`."""
    packed = PACKED.get(path.suffix.lower())
    return (Path(path.stem) if packed else path).suffix.lower(), packed


def _below(folder: Path) -> Iterator[Path]:
    """The files in a folder and below it, without hidden ones; links to folders are not followed (rings)."""

    def refuse(error: OSError) -> None:
        raise ShedError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for inner, folders, files in os.walk(folder, onerror=refuse):
        if is_saved(Path(inner)):
            raise ShedError(f"{inner}: a folder that `datasets` saved; name it alone")
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(inner) / name for name in files if not name.startswith("."))


def _path(where: str) -> Path:
    """The path that is meant.

    Raises:
        ShedError: the system takes no such path.
    """
    try:
        path = Path(where).expanduser()
        path.lstat() if "\0" in where else path.exists()  # the first says what `exists` keeps to itself
    except (OSError, ValueError, RuntimeError) as error:
        raise ShedError(f"{where[:200]!r}: not a path that can be read ({error})"[:400]) from error
    return path
