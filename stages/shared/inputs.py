"""Where the user's data and models are, and how rows are read, as params say."""

import glob
import os
from pathlib import Path

from shed.data.readers import ReaderSettings
from shed.params import Params

MEGABYTE = 1_000_000


def located(where: str) -> str:
    """A relative path that is not here, but in the project of which this folder is a copy (`dvc exp run --temp`), is there.

    DVC copies what git tracks; a pool or a model that it does not track stays where it is.
    """
    root = os.environ.get("DVC_ROOT")
    if root is None or where.startswith(("~", "hf://")) or Path(where).is_absolute() or _is_there(where):
        return where
    there = str(Path(root) / where)
    return there if _is_there(there) else where


def _is_there(where: str) -> bool:
    return Path(where).exists() or next(glob.iglob(where, recursive=True), None) is not None  # noqa: PTH207 (may be absolute)


def reader_settings(params: Params) -> ReaderSettings:
    """How the user's own rows are read."""
    reading = params.data.reading
    return ReaderSettings(
        reading.form, reading.columns, reading.list_key, reading.ignore, reading.train_on, int(reading.max_row_mb * MEGABYTE)
    )
