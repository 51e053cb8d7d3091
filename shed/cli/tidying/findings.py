"""What is wrong in a project, where, and what to do about it; and what is only to be known.

In: what a check saw. Out: a `Finding`, with a way to mend it where nothing can be lost by that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STILL = 600  # seconds: what has not been written to for so long is of no process that works


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or in a state that is not the last one.

    Attributes:
        what: in a few words.
        where: a file, a folder, or a setting.
        do: what the user is to do.
        mend: does it; None where only the user can decide.
        wrong: False for what is normal, as after a run that was stopped.
    """

    what: str
    where: str
    do: str
    mend: Callable[[], None] | None = None
    wrong: bool = True


def is_still(path: Path) -> bool:
    """True if nothing in this file or folder was written in the last minutes."""
    newest = max((one.lstat().st_mtime for one in (path, *path.rglob("*"))), default=0.0)
    return time.time() - newest > STILL


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(one.lstat().st_size for one in (path, *path.rglob("*")) if one.is_file())


def shown_size(count: int) -> str:
    """Bytes for a reader."""
    for unit, bytes_of_it in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= bytes_of_it:
            return f"{count / bytes_of_it:.1f} {unit}"
    return f"{count} B"
