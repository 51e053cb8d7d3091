"""What is kept for another time is checked when it is read: a file or folder whose name bears a digest of what is in it.

In: the path `KEY.npy` by which something is known. Out: its file `KEY-DIGEST.npy`, found only while its bytes are those that
were kept. What has changed since, by a disk that fails or by hand, is moved aside and told on stderr; whoever asked makes it
again.
"""

import glob
import hashlib
import itertools
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from shed.common.errors import ShedError

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
DIGITS = 16  # hexadecimal, of the digest


def sealed_name(content: Path) -> str:
    """The name that a finished file or folder is kept under; it depends on its name, and on its bytes."""
    return f"{content.stem}-{digest(content, content.name)}{content.suffix}"


def seal(path: Path) -> Path:
    """Rename a file or folder to the name that it is kept under."""
    return path.replace(path.with_name(sealed_name(path)))


def find(path: Path) -> Path | None:
    """What was kept for this path and is sound, or None.

    Raises:
        ShedError: it cannot be read.
    """
    return next((one for one in _kept(path) if _is_sound(one, path.name)), None)


def take(path: Path) -> Path | None:
    """As `find`; what is damaged is moved aside.

    Raises:
        ShedError: it cannot be read, or cannot be moved.
    """
    for one in _kept(path):
        if _is_sound(one, path.name):
            return one
        aside = set_aside(one)
        print(f"shed: {one} is damaged: it is not as it was kept; moved to {aside.name}, and made again", file=sys.stderr)
    return None


def set_aside(path: Path, *beside: Path) -> Path:
    """Rename what is damaged to a name with the time that is free, and what belongs to it (`ledger.sqlite-wal`) with it.

    Returns:
        The new path.

    Raises:
        ShedError: the system refuses.
    """
    name = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    aside = next(path.with_name(one) for one in names if not any(path.parent.glob(f"{glob.escape(one)}*")))
    try:
        for part in (*beside, path):  # itself last: after a kill it is found again
            if part.exists():
                part.rename(aside.with_name(aside.name + part.name.removeprefix(path.name)))
    except OSError as error:
        raise ShedError(f"{path} is damaged and cannot be moved aside: {error.strerror}; move it away and run again") from error
    return aside


def digest(content: Path, name: str, *, but: str = "") -> str:
    """16 hexadecimal digits that change with any byte of a file, or of the files of a folder, and with the name given.

    Args:
        but: a file of the folder that is left out.

    Raises:
        OSError: it cannot be read.
    """
    total = hashlib.sha256(f"{name}\n".encode())
    for file in sorted(content.rglob("*")) if content.is_dir() else [content]:
        place = file.relative_to(content).as_posix()
        if not file.is_dir() and place != but:
            total.update(f"{place} {file.stat().st_size}\n".encode())
            with file.open("rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()[:DIGITS]


def _kept(path: Path) -> Iterator[Path]:
    """All that was kept for this path, whatever its digest says of it."""
    name = re.compile(rf"{re.escape(path.stem)}-[0-9a-f]{{{DIGITS}}}{re.escape(path.suffix)}")
    return iter(sorted(one for one in path.parent.glob("*") if name.fullmatch(one.name)))


def _is_sound(sealed: Path, name: str) -> bool:
    try:
        return sealed.stem.endswith(f"-{digest(sealed, name)}")
    except FileNotFoundError:  # another process has moved it aside
        return False
    except OSError as error:
        raise ShedError(
            f"cannot read {sealed}: {error.strerror}; make it readable, or delete it to have it made again"
        ) from error
