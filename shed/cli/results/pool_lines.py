"""Single lines of the prepared files, without reading all of their records: a pool may hold hundreds of thousands.

In: a file of JSON lines that `prepare` wrote, and what to look for. Out: the rows that have it, with their places.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NOT_ESCAPED = re.compile(r'[^\x00-\x1f"\\]+')  # what JSON text holds as it is


def rows_at(path: Path, places: Iterable[int]) -> dict[int, Row]:
    """The rows at these places, counted from 0."""
    wanted = set(places)
    if not wanted:
        return {}
    with path.open(encoding="utf-8") as file:
        return {place: json.loads(line) for place, line in enumerate(file) if place in wanted}


def rows_matching(path: Path, pattern: bytes, fits: Callable[[Row], bool]) -> Iterator[tuple[int, Row]]:
    """Rows whose line has the pattern of bytes (a regular expression) and that fit, with their places from 0."""
    data = path.read_bytes()
    place, counted = 0, 0
    end = -1
    for found in re.finditer(pattern, data):
        if found.start() < end:
            continue  # on the line that was looked at
        start = data.rfind(b"\n", 0, found.start()) + 1
        end = data.find(b"\n", found.end())
        end = len(data) if end < 0 else end
        place, counted = place + data.count(b"\n", counted, start), start
        row = json.loads(data[start:end])
        if fits(row):
            yield place, row


def rows_saying(path: Path, text: str, fits: Callable[[Row], bool]) -> Iterator[tuple[int, Row]]:
    """Rows whose line holds the text in any case, as far as JSON does not escape it, and that fit."""
    part = max(NOT_ESCAPED.findall(text), key=len, default="").casefold()
    lines = path.read_text(encoding="utf-8").split("\n")
    for place, line in enumerate(lines):
        if line and part in line.casefold():
            row = json.loads(line)
            if fits(row):
                yield place, row
