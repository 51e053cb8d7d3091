"""Which record is meant: by its id, by where it stands in the user's own file, or by what it says.

In: the bytes of the prepared files, and what the user typed. Out: the rows that it means, of the kept ones and of those set
aside. Of several ways to understand it, the first that finds something counts.
"""

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shed.cli.results.pool_lines import Row, rows_matching, rows_saying
from shed.cli.results.texts import one_line
from shed.common.errors import ShedError
from shed.data.records import Record, from_row, single_turn

Files = dict[str, bytes]
KEPT = ("pool", "dev", "test")
REJECTS = "rejects"
FOLDER = "data/prepared"
OWN_ID = re.compile("[0-9a-f]{16}")
SHORT_ID = re.compile("(?=.*[0-9])[0-9a-f]{6,15}")
FIRST_ID = re.compile(rb'^\{"id": "([0-9a-f]{16})"', re.MULTILINE)
PLACE = re.compile(r"(?P<file>.+?)(?:, (?:line|entry|row) |:)(?P<number>\d+)")
ORIGIN = re.compile(r"(?P<file>.+), (?P<kind>line|entry|row) (?P<number>\d+)")
GIVEN_IDS = ("shed_id", "id")  # of a row as the user gave it
NEAR = 3  # records that are named where none is meant
NEAR_CHARACTERS = 60


@dataclass(frozen=True)
class Found:
    """A row of a prepared file.

    Attributes:
        file: `pool`, `dev`, `test` or `rejects`.
        place: in the file, from 0.
        row: as the file has it.
    """

    file: str
    place: int
    row: Row

    @property
    def id(self) -> str | None:
        """The record's id; None of a row that is no record."""
        return self.row.get("id")

    @property
    def split(self) -> str:
        """The split that it was kept in or set aside from."""
        return str(self.row["split"]) if self.file == REJECTS else self.file

    @property
    def record(self) -> Record | None:
        """None of a row that is no record."""
        return from_row(self.row) if "messages" in self.row else None

    @property
    def says(self) -> str:
        """Its prompt, or what can be told of a row that is no record."""
        record = self.record
        return str(self.row.get("text", "")) if record is None else record.prompt


def read_files(root: Path) -> Files:
    """The prepared files that are there, by their names.

    Raises:
        ShedError: the pool is not.
    """
    paths = {name: root / FOLDER / f"{name}.jsonl" for name in (*KEPT, REJECTS)}
    if not paths["pool"].is_file():
        raise ShedError(f"{paths['pool']} is not there: no records are prepared yet; `shed run prepare` does it")
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def find(root: Path, files: Files, what: str) -> list[Found]:
    """The rows that are meant; copies of a record, which have its id, are among them, kept ones first.

    Raises:
        ShedError: there are none.
    """
    what = what.strip()
    if not what:
        raise ShedError("nothing to look for; give an id, FILE:LINE, or a part of the record's text")
    return (
        by_id(files, what)
        or _by_given_id(files, what)
        or _by_origin(root, files, what)
        or _by_short_id(files, what)
        or _by_text(files, what)
        or _by_shown_text(files, what)
        or _none(root, files, what)
    )


def by_id(files: Files, id: str) -> list[Found]:
    """The rows of the record with this id."""
    if not OWN_ID.fullmatch(id.lower()):
        return []
    id = id.lower()
    return list(_matching(files, f'"id": "{id}"', lambda row: row.get("id") == id))


def _by_short_id(files: Files, what: str) -> list[Found]:
    """The rows of records whose id begins so; words of letters alone, as "facade", are no ids."""
    short = what.lower()
    if not SHORT_ID.fullmatch(short):
        return []
    return list(_matching(files, f'"id": "{short}', lambda row: str(row.get("id")).startswith(short)))


def _by_given_id(files: Files, what: str) -> list[Found]:
    """The rows whose own id is this, in the row as the user gave it."""

    def fits(row: Row) -> bool:
        given: Any = json.loads(row.get("given") or "{}")
        return isinstance(given, dict) and any(str(given.get(key)) == what for key in GIVEN_IDS if given.get(key) is not None)

    texts = {
        json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)[1:-1]
        for value in (what, _number(what))
        if value is not None
    }
    found = [hit for text in sorted(texts) for key in GIVEN_IDS for hit in _matching(files, f'\\"{key}\\": {text}', fits)]
    return list({(hit.file, hit.place): hit for hit in found}.values())


def _by_origin(root: Path, files: Files, what: str) -> list[Found]:
    """The rows that were read from this place of a file, whose path may be given by its end."""
    named = PLACE.fullmatch(what)
    if not named:
        return []
    path, number = os.path.normpath(named["file"]), int(named["number"])

    def fits(row: Row) -> bool:
        origin = ORIGIN.fullmatch(row["origin"])
        return origin is not None and int(origin["number"]) == number and _same_file(root, origin["file"], path)

    found: list[Found] = []
    for kind in ("line", "entry", "row"):
        found += _matching(files, f', {kind} {number}"', fits)
    return found


def _by_text(files: Files, what: str) -> list[Found]:
    """The rows whose prompt or response says this, in any case."""
    text = what.casefold()

    def fits(row: Row) -> bool:
        if "messages" not in row:
            return text in str(row.get("text", "")).casefold()
        record = from_row(row)
        return text in record.prompt.casefold() or text in record.response.casefold()

    return [Found(name, place, row) for name, data in files.items() for place, row in rows_saying(data, what, fits)]


def _by_shown_text(files: Files, what: str) -> list[Found]:
    """The rows that say this with any white space between its words, as a command shows them on one line, cut at its end."""
    text = " ".join(what.removesuffix("…").split())
    if not text:
        return []

    def fits(row: Row) -> bool:
        record = from_row(row) if "messages" in row else None
        texts = (str(row.get("text", "")),) if record is None else (record.prompt, record.response)
        return any(text.casefold() in " ".join(one.split()).casefold() for one in texts)

    word = max(text.split(), key=len)
    return [Found(name, place, row) for name, data in files.items() for place, row in rows_saying(data, word, fits)]


def _matching(files: Files, text: str, fits: Callable[[Row], bool]) -> Iterator[Found]:
    for name, data in files.items():
        for place, row in rows_matching(data, text, fits):
            yield Found(name, place, row)


def _same_file(root: Path, origin: str, named: str) -> bool:
    """Is the path the origin's, or an end of it, or the same file as seen from here?"""
    own = os.path.normpath(origin)
    if own == named or own.endswith(f"/{named}"):
        return True
    return os.path.normpath(root / own) == os.path.normpath(Path.cwd() / named)


def _number(what: str) -> int | None:
    return int(what) if re.fullmatch(r"-?\d{1,18}", what) and str(int(what)) == what else None


def _none(root: Path, files: Files, what: str) -> list[Found]:
    """Say that there is none, and what comes near.

    Raises:
        ShedError: always.
    """
    if (named := PLACE.fullmatch(what)) and (there := _places(root, files, os.path.normpath(named["file"]))):
        raise ShedError(f"{one_line(what)}: no row was read there; of {one_line(named['file'])}, {there} were read")
    if OWN_ID.fullmatch(what.lower()):
        ids = [id.decode() for name, data in files.items() if name != REJECTS for id in FIRST_ID.findall(data)]
        close = difflib.get_close_matches(what.lower(), ids, n=1, cutoff=0.7)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ShedError(f"no record has the id {what}, neither kept nor set aside{hint}")
    raise ShedError(f"no record says {one_line(what, NEAR_CHARACTERS)!r}, neither kept nor set aside{_near(root, what)}")


def _places(root: Path, files: Files, named: str) -> str:
    """From where to where rows of a file were read; "" if none was."""
    numbers: dict[str, list[int]] = {}
    for data in files.values():
        for _, row in rows_matching(data, Path(named).name, lambda row: True):
            origin = ORIGIN.fullmatch(row["origin"])
            if origin and _same_file(root, origin["file"], named):
                numbers.setdefault(origin["kind"], []).append(int(origin["number"]))
    return " and ".join(f"{kind} {min(own):,} to {kind} {max(own):,}" for kind, own in numbers.items())


def _near(root: Path, what: str) -> str:
    """The pool's records that BM25 finds for these words, for the end of a message."""
    from shed.data.records import read_records
    from shed.selection.baselines import bm25

    pool = read_records(root / FOLDER / "pool.jsonl")
    scores = bm25(pool, [single_turn(what, "", "", "")])
    best = [int(place) for place in (-scores).argsort(kind="stable")[:NEAR] if scores[place] > 0]
    told = [f"{pool[place].id} ({one_line(pool[place].prompt, NEAR_CHARACTERS)})" for place in best]
    return f"; near it: {', '.join(told)}" if told else ""
