"""Where the user's data and models, seen from the project's folder or from a copy of it.

In: a path of params. Out: a path that is there.
"""

import glob
import os
from pathlib import Path


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
