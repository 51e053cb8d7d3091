"""Files inside a zip archive, such as a wheel, read as streams and never unpacked whole: an archive of a megabyte may unpack to
gigabytes.

In: an archive's path and a glob. Out: the name of each file that matches it, and its bytes as they are read.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from shed.common.errors import ShedError

MOST_BYTES, MOST_FILES = 500_000_000, 10_000  # of the files that are read, unpacked
BUFFER = 1 << 16
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what wheels have; the others cannot be unpacked a part at a time


def archive_files(
    path: Path, called: str, pattern: str, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES
) -> Iterator[tuple[str, "io.BufferedReader[Any]"]]:
    """The files whose path in the archive matches the glob, sorted by it; each can be read until the next one is asked for.

    Args:
        path: the archive.
        called: what messages call it.
        pattern: a glob.
        most_bytes: what the files may have together, unpacked.
        most_files: how many files there may be.

    Raises:
        ShedError: nothing matches, it is more than that, or the archive is damaged; also while a file is read.
    """
    with _told(path), zipfile.ZipFile(path) as archive:
        found = [member for member in archive.infolist() if not member.is_dir() and Path(member.filename).match(pattern)]
        if not found:
            raise ShedError(f"{called} holds no file that matches {pattern}")
        budget = _Budget(most_bytes, f"{called}: the files that match {pattern}")
        if len(found) > most_files:
            raise ShedError(f"{budget.what} are more than {most_files:,}; name fewer")
        budget.check(sum(member.file_size for member in found))
        for member in sorted(found, key=lambda member: member.filename):
            if member.compress_type not in PACKED:
                raise ShedError(f"{called}: {member.filename} is packed in a way that no wheel has; pack it with deflate")
            with archive.open(member) as packed, io.BufferedReader(_Counted(packed, path, budget), BUFFER) as file:
                yield member.filename, file


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever is raised about a damaged archive becomes one line."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ShedError(f"{path}: cannot be read as a wheel ({reason})") from error


class _Budget:
    """Bytes that may still be unpacked."""

    def __init__(self, most: int, what: str) -> None:
        self.what, self._most, self._taken = what, most, 0

    def check(self, more: int) -> None:
        if self._taken + more > self._most:
            raise ShedError(f"{self.what} unpack to more than {self._most / 1e6:,.6g} MB; name fewer")

    def take(self, more: int) -> None:
        self.check(more)
        self._taken += more


class _Counted(io.RawIOBase):
    """A file of an archive, counted as it is unpacked, since the sizes in the archive's directory may be wrong."""

    def __init__(self, file: IO[bytes], path: Path, budget: _Budget) -> None:
        super().__init__()
        self._file, self._path, self._budget = file, path, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _told(self._path):
            part = self._file.read(len(buffer))
        self._budget.take(len(part))
        buffer[: len(part)] = part
        return len(part)
