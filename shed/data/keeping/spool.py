"""Records and rejects in a temporary file, so that a pool of a million rows takes little memory while it is prepared.

In: items, one at a time. Out: the same as a sequence, in any order; files of JSON lines, into which lines are copied as they
stand.
"""

import json
import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, overload

from shed.common.atomic_io import replacing
from shed.common.errors import ShedError

BUFFER = 1 << 20  # bytes that are written at once


class Written(Protocol):
    """What is written as a line of JSON."""

    def to_row(self) -> dict[str, Any]: ...


Item = TypeVar("Item", bound=Written)


class Spool(Sequence[Item]):
    """Items as lines of a file that has no name and goes with this object; in memory are 8 bytes for each.

    Args:
        folder: on whose disk the file is.
        from_row: the inverse of an item's `to_row`.

    Raises:
        ShedError: it cannot be written there; so does `append`.
    """

    def __init__(self, folder: Path, from_row: Callable[[dict[str, Any]], Item]) -> None:
        self._folder, self._from_row = folder, from_row
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=BUFFER)  # noqa: SIM115 (it closes with this object)
        except OSError as error:
            raise self._refused(error) from error
        self._ends = array("q")
        self._size, self._flushed = 0, 0

    def append(self, item: Item) -> None:
        line = line_of(item)
        try:
            self._file.write(line)
        except OSError as error:
            raise self._refused(error) from error
        self._size += len(line)
        self._ends.append(self._size)

    def line(self, place: int) -> bytes:
        """The line of an item."""
        start, end = self._ends[place - 1] if place else 0, self._ends[place]
        if end > self._flushed:
            try:
                self._file.flush()
            except OSError as error:
                raise self._refused(error) from error
            self._flushed = self._size
        return os.pread(self._file.fileno(), end - start, start)

    def lines(self) -> Iterator[bytes]:
        return map(self.line, range(len(self)))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Item]:
        return map(self._read, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        places = range(len(self))[index]
        return [self._read(place) for place in places] if isinstance(places, range) else self._read(places)

    def _read(self, place: int) -> Item:
        return self._from_row(json.loads(self.line(place)))

    def _refused(self, error: OSError) -> ShedError:
        return ShedError(f"cannot write to {self._folder}: {error.strerror}; make room there, or choose another folder")


class Picked(Sequence[Item], Generic[Item]):
    """Some items of a spool in an order of their own; in memory are 8 bytes for each."""

    def __init__(self, spool: Spool[Item], places: Iterable[int]) -> None:
        self._spool, self._places = spool, array("q", places)

    def lines(self) -> Iterator[bytes]:
        return map(self._spool.line, self._places)

    def with_changes(self, changed: Mapping[int, Item]) -> "Picked[Item]":
        """The same with other items in some places."""
        places = self._places[:]
        for number, item in changed.items():
            places[number] = len(self._spool)
            self._spool.append(item)
        return Picked(self._spool, places)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Item]:
        return map(self._spool.__getitem__, self._places)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self._spool[place] for place in self._places[index]]
        return self._spool[self._places[index]]


def pick(items: list[Item] | Spool[Item], places: Iterable[int]) -> Sequence[Item]:
    """The items in these places, in their order."""
    return [items[place] for place in places] if isinstance(items, list) else Picked(items, places)


def with_changes(items: Sequence[Item], changed: Mapping[int, Item]) -> Sequence[Item]:
    """The items with others in some places."""
    if isinstance(items, Picked):
        return items.with_changes(changed)
    return [changed.get(place, item) for place, item in enumerate(items)]


def line_of(item: Written) -> bytes:
    """The item as a line of JSON."""
    return json.dumps(item.to_row(), ensure_ascii=False).encode() + b"\n"


def write_items(path: Path | str, items: Iterable[Written]) -> None:
    """Write items as lines of JSON; the lines of a spool are copied."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(items.lines() if isinstance(items, Spool | Picked) else map(line_of, items))
