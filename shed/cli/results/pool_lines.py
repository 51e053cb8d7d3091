"""Single lines of the prepared files, without reading all of their records: a pool may hold hundreds of thousands.

In: a file of JSON lines that `prepare` wrote, or its bytes, and what to look for. Out: rows that have it, with their places.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NOT_ESCAPED = re.compile(r'[^\x00-\x1f"\\]+')  # what JSON text holds as it is


def rows_at(path: Path, places: Iterable[int]) -> dict[int, Row]:
    """The rows at these places, counted from 0."""
    wanted = set(places)
    if not wanted:
        return {}
    with path.open("rb") as file:
        lines = enumerate(islice(file, max(wanted) + 1))
        return {place: json.loads(line) for place, line in lines if place in wanted}


def rows_matching(data: bytes, text: str, fits: Callable[[Row], bool]) -> Iterator[tuple[int, Row]]:
    """Rows whose line has the text as it is and that fit, with their places from 0.

    Args:
        data: the file's bytes.
        text: without line breaks.
    """
    yield from _on_lines(data, data, text.encode(), fits)


def rows_saying(data: bytes, text: str, fits: Callable[[Row], bool]) -> Iterator[tuple[int, Row]]:
    """Rows whose line holds the text in any case, as far as JSON does not escape it, and that fit."""
    part = max(NOT_ESCAPED.findall(text), key=len, default="").casefold()
    own = part.encode()
    if part and data.isascii():
        yield from _on_lines(data.lower(), data, own, fits)
        return
    for place, line in enumerate(data.split(b"\n")):
        # a line of ASCII alone needs no decoding, which takes longer than all else
        if line and (own in line.lower() if line.isascii() else part in line.decode().casefold()):
            row = json.loads(line)
            if fits(row):
                yield place, row


def _on_lines(looked_at: bytes, data: bytes, wanted: bytes, fits: Callable[[Row], bool]) -> Iterator[tuple[int, Row]]:
    """The rows on whose lines something is found in bytes that stand where the data's do."""
    place, counted = 0, 0
    found = looked_at.find(wanted)
    while found >= 0:
        start, end = data.rfind(b"\n", 0, found) + 1, data.find(b"\n", found)
        end = len(data) if end < 0 else end
        place, counted = place + data.count(b"\n", counted, start), start
        row = json.loads(data[start:end])
        if fits(row):
            yield place, row
        found = looked_at.find(wanted, end)  # the rest of the line is looked at
