"""CSV and TSV with a header.

In: a path. Out: (place, values or `Bad`) pairs, one at a time; all values are texts.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from shed.common.errors import ShedError
from shed.data.formats.opening import SHOWN, Bad, bad, decoded, exceeds, text_of, too_long

QUOTED = re.compile(r'"[^"]*+(?:"|$)')


class _TooLongError(Exception):
    """A row has more bytes than the limit."""


class _Lines:
    """The lines of a file, as `csv.reader` asks for them, with the beginning and the length of the row that they are of."""

    def __init__(self, file: TextIO, limit: int) -> None:
        self._file, self._limit = file, limit
        self._ready: list[str] = []
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """A new row begins with the next line."""
        self.first, self.text, self._size, self._quotes = self.number + 1, "", 0, 0

    def peek(self) -> str:
        """The next line, which stays."""
        self._ready = [self._file.readline(self._limit + 2)]
        return self._ready[0]

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._ready.pop() if self._ready else self._file.readline(self._limit + 2)
        if not line:
            raise StopIteration
        self.number += 1
        self._size += len(line)
        self._quotes += line.count('"')
        self.text += line[: SHOWN - len(self.text)] if len(self.text) < SHOWN else ""
        if len(line) == self._limit + 2 and not line.endswith(("\n", "\r")):
            while (rest := self._file.readline(1 << 20)) and not rest.endswith(("\n", "\r")):
                self._quotes += rest.count('"')
            self._quotes += rest.count('"')
            raise _TooLongError
        if self._size > self._limit + 2 or exceeds(line.rstrip("\r\n"), self._limit):
            raise _TooLongError
        return line

    def pass_over(self) -> None:
        """Go on to where the row's quotes close, so that the rest of a text that is too long is not taken for rows."""
        while self._quotes % 2 and (line := self._file.readline(1 << 20)):
            self._quotes += line.count('"')
            self.number += line.endswith(("\n", "\r"))


def csv_rows(path: Path, packed: str | None, limit: int, delimiter: str | None) -> Iterator[tuple[str, dict[str, str] | Bad]]:
    """The rows below the header.

    Args:
        path: the file.
        packed: "gzip", "zstd" or None.
        limit: bytes that one row may have.
        delimiter: what stands between fields; None: a comma, or else what the header has: a semicolon or a tab.

    Raises:
        ShedError: the header is not readable, or has a column twice or without a name.
    """
    csv.field_size_limit(max(csv.field_size_limit(), limit + 2))  # for the process; the limit of a row is kept here
    with text_of(path, packed, "") as file:
        lines = _Lines(file, limit)
        if delimiter is None:
            head = QUOTED.sub("", lines.peek())
            delimiter = next((mark for mark in ",;\t" if mark in head), ",")
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        columns: list[str] | None = None
        while True:
            lines.begin()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except _TooLongError:
                fault = too_long(limit)
                lines.pass_over()
            except csv.Error:
                fault = "not valid CSV"
            else:
                fault = "" if decoded("".join(fields)) else "not UTF-8"
            if columns is None:
                if fault == "not UTF-8" or (not fault and any("\0" in field for field in fields)):
                    raise ShedError(f"{path}, line 1: the header is not UTF-8; save the file as UTF-8")
                if fault:
                    raise ShedError(f"{path}, line 1: the header is {fault}; the first line must name the columns")
                columns = _header(path, fields) if fields else None
                continue
            if not fault and len(fields) != len(columns):
                if not fields:
                    continue  # a blank line
                fault = f"has {'more' if len(fields) > len(columns) else 'fewer'} fields than the header"
            place = f"line {lines.first}"
            yield place, bad(fault, lines.text) if fault else dict(zip(columns, fields, strict=True))


def _header(path: Path, fields: list[str]) -> list[str]:
    """The names of the columns; a first one without a name is the index that pandas writes."""
    columns = [field.strip() for field in fields]
    if columns[0] == "" and "index" not in columns:
        columns[0] = "index"
    for number, column in enumerate(columns, start=1):
        if not column:
            raise ShedError(f"{path}: column {number} has no name; the first line must name each column")
        if columns.index(column) != number - 1:
            raise ShedError(f"{path}: two columns are called {column[:40]!r}; give each its own name")
    return columns
