"""JSON lines, a JSON list, or a JSON object that holds the list: told apart by content, whatever the file's name says.

In: a path. Out: (place, object or `Bad`) pairs, one at a time.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from shed.common.errors import ShedError
from shed.data.formats.json_entries import Cursor, Entry, entries
from shed.data.formats.json_values import parse_object
from shed.data.formats.opening import Bad, bad, exceeds, text_of, too_long

LOOK = 1 << 16  # characters of a first line that tell lines from one large value
HEAD = 1000  # characters of an object's entry that tell its key and what is in it
KEY = re.compile(r'\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*', re.DOTALL)
LIST = re.compile(r"\[\s*(?:\{|\]|$)")
COLUMN = re.compile(r'\{\s*"\d+"\s*:')
TURNS = re.compile(r'\[\s*\{\s*"(?:role|from|content|value)"')

SPLIT = {"columns", "index", "data"}  # what pandas writes with orient="split"

Places = Iterator[tuple[str, dict[str, Any] | Bad]]


def json_rows(path: Path, packed: str | None, list_key: str | None, limit: int, *, lines: bool) -> Places:
    """The objects of a JSON file.

    Args:
        path: the file.
        packed: "gzip", "zstd" or None.
        list_key: where the file is one object: the key of the list in it.
        limit: bytes that one row may have.
        lines: the file's name says JSON lines, which decides for a file of one object: it is a row.

    Raises:
        ShedError: the file is one object, and it is not clear which list in it is meant.
    """
    with text_of(path, packed, "\n") as file:
        cursor = Cursor(file)
        opening = cursor.ahead()
        cursor.at += 1
        found = list(_keys(cursor)) if opening == "{" else []
        single = bool(found) and found[-1].last == "}" and not cursor.ahead()
    if opening == "[" and not _lists_in_lines(path, packed):
        start = 0
    elif opening == "{" and (single or (found[-1].last == "" and _is_open(path, packed))):
        place = _list_in(path, found, list_key, lines=lines)
        if place is None:
            yield from _one(path, packed, limit)
            return
        start = place
    else:
        with text_of(path, packed, "\n") as file:
            yield from _lines(file, limit)
        return
    with text_of(path, packed, "\n") as file:
        cursor = Cursor(file)
        cursor.skip_to(start)
        cursor.ahead()
        cursor.at += 1
        yield from _list(cursor, limit)
        if start == 0 and cursor.ahead():
            yield "end", bad("text after the end of the list", cursor.block[cursor.at : cursor.at + HEAD])


def lone_object(path: Path, packed: str | None) -> list[str] | None:
    """The keys of a file that is one JSON object and holds no list of objects; None for any other file."""
    with text_of(path, packed, "\n") as file:
        cursor = Cursor(file)
        if cursor.ahead() != "{":
            return None
        cursor.at += 1
        found = list(_keys(cursor))
        if found[-1].last != "}" or cursor.ahead():
            return None
    matches = [(entry.text, match) for entry in found if (match := KEY.match(entry.text))]
    if any(LIST.match(text, match.end()) and not TURNS.match(text, match.end()) for text, match in matches):
        return None
    if _are_columns(found):
        return None  # a table that is written otherwise: no file beside the data
    return [str(json.loads(match[1], strict=False)) for _, match in matches]


def _lines(file: TextIO, limit: int) -> Places:
    number = 0
    while line := file.readline(limit + 2):
        number += 1
        place = f"line {number}"
        cut = len(line) == limit + 2 and not line.endswith("\n")
        if cut or exceeds(line.rstrip("\r\n"), limit):
            yield place, bad(too_long(limit), line)
            while cut and (rest := file.readline(1 << 20)):
                cut = not rest.endswith("\n")
        elif not line.isspace():
            yield place, parse_object(line)


def _list(cursor: Cursor, limit: int) -> Places:
    for number, entry in enumerate(entries(cursor, limit + 1), start=1):
        place = f"entry {number}"
        blank = not entry.text.strip()
        if entry.last == "]" and blank and number == 1:
            return  # an empty list
        if entry.size > limit or exceeds(entry.text, limit):
            yield place, bad(too_long(limit), entry.text)
        elif entry.last != "":
            yield place, bad("an empty entry", "") if blank else parse_object(entry.text)
        else:
            row = parse_object(entry.text)
            if isinstance(row, dict):
                yield place, row
            yield place, bad("the list ends in the middle", "" if isinstance(row, dict) else entry.text)


def _one(path: Path, packed: str | None, limit: int) -> Places:
    """The file as one row."""
    with text_of(path, packed, "\n") as file:
        text = file.read(limit + 1)
        yield "line 1", bad(too_long(limit), text) if exceeds(text, limit) else parse_object(text)


def _keys(cursor: Cursor) -> Iterator[Entry]:
    """The beginnings of an object's entries; of many thousands the first are enough to tell that it is no file of lists."""
    for number, entry in enumerate(entries(cursor, HEAD)):
        if number < HEAD or entry.last is not None:
            yield entry


def _list_in(path: Path, found: list[Entry], list_key: str | None, *, lines: bool) -> int | None:
    """The place of the list that the object holds, in characters; None where the object is itself a row."""
    places: dict[str, int] = {}
    lists = []
    for entry in found:
        if match := KEY.match(entry.text):
            key = str(json.loads(match[1], strict=False))
            if key in places:
                raise ShedError(f"{path}: the object repeats the key {key!r}; give each list its own key")
            places[key] = entry.start + match.end()
            if LIST.match(entry.text, match.end()) and not TURNS.match(entry.text, match.end()):
                lists.append(key)
            elif key == list_key and entry.text[match.end() : match.end() + 1] != "[":
                raise ShedError(f"{path}: what stands under {key!r} is not a list; name the list's key", "list key")
    if list_key in places and list_key is not None:
        return places[list_key]
    if lines and list_key is None and not _are_columns(found):
        return None
    names = ", ".join(repr(key[:40]) for key in list(places)[:20]) or "no keys"
    if list_key is None and (places.keys() >= SPLIT or _are_columns(found)):
        raise ShedError(
            f'{path}: one JSON object with {names}, which are columns as pandas writes them; write it with orient="records"'
        )
    if list_key is not None:
        raise ShedError(f"{path}: one JSON object without the key {list_key!r}; it has {names}", "list key")
    if len(lists) != 1:
        raise ShedError(
            f"{path}: one JSON object with {names}, of which {len(lists) or 'none'} hold a list of records; "
            "name the one to read (or name a file of JSON lines .jsonl)",
            "list key",
        )
    return places[lists[0]]


def _are_columns(found: list[Entry]) -> bool:
    """True if each entry is an object of values by the numbers of their rows, as `to_json` of pandas writes a table."""
    matches = [(entry.text, KEY.match(entry.text)) for entry in found]
    return all(match is not None and COLUMN.match(text, match.end()) for text, match in matches)


def _lists_in_lines(path: Path, packed: str | None) -> bool:
    """True if a file that begins with a list is one of lines all the same: a line is a whole list, and more lines follow."""
    with text_of(path, packed, "\n") as file:
        try:
            json.loads(file.readline(LOOK))
        except (ValueError, RecursionError):
            return False
        return Cursor(file).ahead() in {"[", "{"}


def _is_open(path: Path, packed: str | None) -> bool:
    """True if an object that does not end is one of many lines, cut off, and not a broken first line among others."""
    with text_of(path, packed, "\n") as file:
        first = file.readline(LOOK)
        return not first.endswith("\n") or first.rstrip().endswith(("{", "[", ",", ":"))
