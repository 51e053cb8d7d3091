"""Files that a stopped process did not finish: `shed.common.atomic_io` writes into a folder beside the file and renames it.

In: folders. Out: findings; what was written to in the last minutes may be of a process that works, and is left alone.
"""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from shed.cli.tidying.findings import Finding, is_still, shown_size, size
from shed.common.exchange import OLD
from shed.data.packaged import cache_folder

WRITTEN = ("data", "metrics", "reports", ".shed")  # where stages write
HALF_WRITTEN = re.compile(r"\.(.+)\.[a-z0-9_]{8}")  # .NAME.RANDOM, a folder with NAME in it
DOWNLOADING = re.compile(r"tmp[a-z0-9_]{8}")


def find_unfinished(root: Path) -> Iterator[Finding]:
    """What stages did not finish writing, and models and wheels that were not finished in the user's cache."""
    for name in WRITTEN:
        folders = [path for path in (root / name).rglob(".*") if path.is_dir() and HALF_WRITTEN.fullmatch(path.name)]
        for folder in folders:
            written = HALF_WRITTEN.fullmatch(folder.name)
            assert written is not None
            copies = {written[1], f"{written[1]}-wal", f"{written[1]}-shm"}  # the log of a ledger that was looked at
            if (folder.parent / written[1]).exists():
                copies.add(written[1] + OLD)  # what was replaced; else it is what there is
            if {path.name for path in folder.iterdir()} <= copies:
                yield from _left(folder, f"an unfinished write of {written[1]}")
    for folder in sorted((cache_folder() / "models").glob(".*")):
        if HALF_WRITTEN.fullmatch(folder.name):
            yield from _left(folder, "a half-converted model")
    for folder in sorted((cache_folder() / "wheels").glob("tmp*")):
        if DOWNLOADING.fullmatch(folder.name):
            yield from _left(folder, "an unfinished download")


def _left(folder: Path, what: str) -> Iterator[Finding]:
    if is_still(folder):
        yield Finding(f"{what}, {shown_size(size(folder))}", str(folder), "delete the folder", partial(shutil.rmtree, folder))
