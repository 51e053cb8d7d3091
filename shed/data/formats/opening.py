"""Files opened for reading: plain, gzip or zstd; UTF-8, or UTF-16 and UTF-32 by their byte order marks.

In: a path. Out: a stream of text or bytes; whatever the system or a codec says against it becomes one line.
"""

import codecs
import io
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

from shed.common.errors import ShedError

AS_SURROGATES = "shed.surrogate"  # how text is decoded of which some may be none; see `decoded`
FREE, MOST_TIMES = 100_000_000, 200  # bytes that any file may unpack to; how many times its own size a larger one may
SHOWN = 1000  # characters of a bad row that are kept for the user to look at
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Bad:
    """A place that holds no row: why, and the beginning of what stands there."""

    reason: str
    text: str


def bad(reason: str, text: str) -> Bad:
    """A `Bad` whose text is short, and printable: control characters and surrogates become U+FFFD."""
    kept = (c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"} else "\ufffd" for c in text[:SHOWN])
    return Bad(reason, "".join(kept).strip())


def too_long(limit: int) -> str:
    """The reason for a row of more than `limit` bytes."""
    return f"longer than {limit / 1e6:,.6g} MB"


def exceeds(text: str, limit: int) -> bool:
    """True if the text takes more than `limit` bytes as UTF-8."""
    return len(text) > limit or (len(text) * 4 > limit and len(text.encode("utf-8", "surrogatepass")) > limit)


def decoded(text: str) -> bool:
    """False if the text holds a surrogate, which is what `text_of` gives for bytes that are not text."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def told_in_one_line(where: Path | str) -> Iterator[None]:
    """Whatever the system or Arrow raises while a file is read becomes one line that names the file.

    Raises:
        ShedError: the file cannot be read, or its bytes are not of its format.
    """
    from pyarrow import ArrowException

    try:
        yield
    except FileNotFoundError as error:
        raise ShedError(f"{where}: no such file") from error
    except PermissionError as error:
        raise ShedError(f"{where}: permission denied; make it readable") from error
    except IsADirectoryError as error:
        raise ShedError(f"{where}: this is a folder, not a file of records") from error
    except (OSError, ArrowException, ValueError, MemoryError, OverflowError, LookupError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ShedError(f"{where}: cannot be read ({reason}); it is damaged or not what its name says") from error


@contextmanager
def bytes_of(path: Path, packed: str | None) -> Iterator[IO[bytes]]:
    """The bytes of a file, one after the other; a packed file that ends too early raises OSError.

    Args:
        path: the file.
        packed: "gzip", "zstd" or None.
    """
    if packed is None:
        with path.open("rb") as file:
            yield file
        return
    import pyarrow as pa

    with (
        pa.input_stream(str(path), compression=packed) as stream,
        io.BufferedReader(_Unpacked(stream, path), 1 << 20) as buffered,
    ):
        yield buffered


def check_unpacked(path: Path | str, unpacked: float, size: int) -> None:
    """Refuse a file that unpacks to so much more than it has itself that it was made to fill a memory or a disk.

    Args:
        unpacked: bytes so far, or as the file itself says.
        size: of the file.

    Raises:
        ShedError: it is one.
    """
    if unpacked > max(FREE, MOST_TIMES * size):
        raise ShedError(
            f"{path}: its {size:,} bytes unpack to more than {MOST_TIMES} times as many and {FREE / 1e6:g} MB, which no "
            "records do; look at what it holds"
        )


class _Unpacked(io.RawIOBase):
    """What a packed file holds, counted as it is unpacked."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        super().__init__()
        self._stream, self._path, self._size, self._taken = stream, path, path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._stream.read(len(buffer))
        self._taken += len(part)
        check_unpacked(self._path, self._taken, self._size)
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def seekable(path: Path, packed: str | None) -> Iterator[IO[bytes]]:
    """The bytes of a file in any order; a packed one is unpacked on disk first, not in memory."""
    with bytes_of(path, packed) as stream:
        if packed is None:
            yield stream
            return
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(stream, whole, 1 << 20)
            whole.seek(0)
            yield whole


@contextmanager
def text_of(path: Path, packed: str | None, newline: str) -> Iterator[TextIO]:
    """The text of a file. Bytes that are not text become lone surrogates, so that only their own row is lost (`decoded`).

    Args:
        path: the file.
        packed: "gzip", "zstd" or None.
        newline: what ends a line, as in `open`.
    """
    with bytes_of(path, packed) as stream:
        if not isinstance(stream, io.BufferedReader):
            raise TypeError(f"cannot look ahead in a {type(stream).__name__}")
        start = stream.peek(4)[:4]
        encoding = next((name for mark, name in MARKS if start.startswith(mark)), "utf-8")
        with io.TextIOWrapper(stream, encoding, errors=AS_SURROGATES, newline=newline) as text:
            yield text


def _surrogate(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udc80", error.end


codecs.register_error(AS_SURROGATES, _surrogate)
