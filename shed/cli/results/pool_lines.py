"""Single lines of the prepared files, without reading all of their records: a pool may hold hundreds of thousands.

In: a file of JSON lines that `prepare` wrote, or its bytes, and what to look for. Out: rows that have it, with their places.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NEW_LINE, CHUNK = 10, 1 << 24  # bytes that are looked at together
NOT_ESCAPED = re.compile(r'[^\x00-\x1f"\\]+')  # what JSON text holds as it is


def rows_at(path: Path, places: Iterable[int]) -> dict[int, Row]:
    """The rows at these places, counted from 0; those beyond the end are left out."""
    wanted, size = sorted(set(places)), path.stat().st_size
    if not wanted or not size:
        return {}
    import numpy as np

    data, ends, start = np.memmap(path, mode="r"), dict[int, int](), 0
    needed = {one for place in wanted for one in (place - 1, place)}  # the ends of these rows, and of those before them
    for at in range(0, size, CHUNK):
        found = np.flatnonzero(data[at : at + CHUNK] == NEW_LINE)
        ends |= {one: at + int(found[one - start]) for one in needed if start <= one < start + len(found)}
        start += len(found)
        if start > wanted[-1]:
            break
    ends.setdefault(start, size)  # a last line without an end
    bounds = {place: (ends[place - 1] + 1 if place else 0, ends[place]) for place in wanted if place in ends}
    return {place: json.loads(data[first:last].tobytes()) for place, (first, last) in bounds.items() if first < last}


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
