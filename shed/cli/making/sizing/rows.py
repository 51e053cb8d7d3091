"""How many rows files have, without reading what is in them, where that takes no more than about a second.

In: where a split is, and how its first row is called. Out: the exact number, or None; and about how many by the files' bytes.
"""

from collections.abc import Iterable
from pathlib import Path

from shed.common.errors import ShedError
from shed.data.files import LINES, data_files, is_dataset, rows
from shed.data.recipes import is_recipe
from shed.data.tasks.documents import is_task

MOST_OF_LINES = 300_000_000  # bytes of files of lines, whose ends alone are counted
MOST_READ = 6_000_000  # bytes of files that are read whole to be counted
TEXTS = {".json", *LINES, ".csv", ".tsv"}
CHUNK = 1 << 24
OF_A_LINE = ", line "  # how a row of a file of lines is called; a file may be named so and hold one object over many lines


def exact_rows(where: str, first: str, max_row_bytes: int) -> int | None:
    """How many rows there are; None where counting takes longer than about a second, or where they are not in files.

    Args:
        first: the origin of a row of theirs.
    """
    paths = _files(where)
    if not paths:
        return None
    if all(path.suffix.lower() in LINES for path in paths) and OF_A_LINE in first:
        return _lines(paths) if _bytes(paths) <= MOST_OF_LINES else None
    if all(path.suffix.lower() == ".parquet" for path in paths):
        return _by_metadata(paths)
    if _bytes(paths) > MOST_READ or not all(path.suffix.lower() in TEXTS for path in paths):
        return None
    try:
        return sum(1 for path in paths for _ in rows(path, None, max_row_bytes))
    except ShedError:  # which list of a file is meant is not known here; the stage that reads it knows
        return None


def rows_by_bytes(where: str, bytes_a_row: float) -> int | None:
    """About how many rows files of text have; None of others."""
    paths = _files(where)
    if not paths or any(path.suffix.lower() not in TEXTS for path in paths):
        return None
    return round(_bytes(paths) / max(1.0, bytes_a_row))


def _files(where: str) -> list[Path]:
    if is_recipe(where) or is_dataset(where) or is_task(where):
        return []
    try:
        return data_files(where)
    except ShedError:
        return []


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _lines(paths: Iterable[Path]) -> int:
    """Lines that are not blank."""
    count = 0
    for path in paths:
        rest = b""
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                *whole, rest = (rest + chunk).split(b"\n")
                count += sum(1 for line in whole if line and not line.isspace())
        count += bool(rest.strip())
    return count


def _by_metadata(paths: Iterable[Path]) -> int | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return sum(int(pq.read_metadata(path).num_rows) for path in paths)
    except (pa.ArrowException, OSError):  # what is wrong with it, whoever reads its rows tells
        return None
