"""A selection that was made elsewhere, as it stands in its file: ids, rows, or scores of either, distinguished by content.

In: a file. Out: a `Given`, with an entry for each row of the file; or one line that says why it cannot be a selection.

1. A file that is called as bergson calls its scores is one of scores by position.
2. Another file of no data file's name is text: an id a line, or a number a line where one of them has a sign or a point.
3. Rows of a form that the readers know are rows; with a column `score` they are scores.
4. Other rows need a column `id` or `shed_id`; with a column `score`, or one other column of numbers, they are scores.
5. A JSON list of texts is one of ids; a JSON list of numbers, or a table's only column, is one of scores by position.

A selection of ours, which has a reason for each row, stands in its order: its `score` is that of the row's cluster.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from shed.common.errors import ShedError
from shed.data.files import KINDS, PACKED, BadRow, Row, data_files, is_data_file, rows
from shed.data.formats.bergson_scores import SCORES, bergson_scores, beside
from shed.data.formats.opening import decoded, text_of, told_in_one_line
from shed.data.forms.characters import CONTROL
from shed.data.forms.found import form_of, keys_of
from shed.data.forms.values import shown
from shed.data.readers import FIRST_ROWS, BadRecord, ReaderSettings, read_user
from shed.data.records import Record

IDS = ("shed_id", "id")
SCORE = "score"
OURS = {SCORE, "cluster", "reason"}  # columns of a selection that `shed` wrote
NOT_FINITE = ("NaN", "Infinity", "a number that is too large")  # the readers' reasons to set a row aside
WHOLE = re.compile("[0-9a-fA-F]+")  # a number, or an id in hex digits that looks like one


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the file.

    Attributes:
        place: where it stands in the file: "line 3".
        id: as text; None where the file's ids do not count.
        record: what it says; None where the file is none of rows, or this row cannot be read.
        score: a finite number; None where the file has no scores, or this row cannot be read.
    """

    place: str
    id: str | None = None
    record: Record | None = None
    score: float | None = None


@dataclass(frozen=True)
class Given:
    """A file's entries, in its order, at least one.

    Attributes:
        kind: how entries are matched with the pool: by id, by content, or by position.
        scored: the name of the scores' column, "" where they have none; None: no scores.
    """

    path: Path
    kind: Literal["ids", "rows", "numbers"]
    entries: Sequence[Entry]
    scored: str | None = None


def given_file(where: str) -> Path:
    """The one file that is meant.

    Raises:
        ShedError: nothing is there, or more than a file.
    """
    if (scores := Path(where).expanduser() / SCORES).is_file():
        raise ShedError(f"{where}: a folder that bergson wrote; name {scores}", "given selection")
    files = data_files(where)
    if len(files) > 1:
        raise ShedError(f"{where}: {len(files)} files; a selection is one file", "given selection")
    return files[0]


def read_beside(path: Path) -> list[Path]:
    """Further files that say how a selection's own is read: those of bergson."""
    return beside(path) if path.name == SCORES else []


def read_given(path: Path, settings: ReaderSettings) -> Given:
    """Read a selection.

    Args:
        settings: how the pool's rows are read. Rows are read in the same way, or, where that gives none, by their own keys; a
            key that nobody uses says nothing here, since rows are matched by what they do say.

    Raises:
        ShedError: the file cannot be read, is empty or has other columns, an id is missing, or a score is no finite number.
    """
    if path.name == SCORES:
        return _bare(path, [(f"row {n}", score) for n, score in enumerate(bergson_scores(path).tolist(), start=1)])
    if not is_data_file(path):
        lines = _lines(path)
        numbers = all(_number(text) is not None for _, text in lines) and not all(WHOLE.fullmatch(text) for _, text in lines)
        return _bare(path, [(place, _number(text) if numbers else text) for place, text in lines])
    list_key, raw = _raw(path, settings)
    if not raw:
        raise _refused(path, "holds no rows; write the selected ids or rows to it")
    if (scalars := _scalars(raw)) is not None:
        return _bare(path, scalars)
    found = [row for row in raw if isinstance(row, Row)]
    if not found:
        raise _unreadable(path, raw, raw)
    columns: list[Mapping[str, str]] = [settings.columns or {}, {}]
    if any(form_of(row.values, own) for row in found[:FIRST_ROWS] for own in columns):
        return _rows(path, raw, replace(settings, list_key=list_key, ignore=("*",)))
    return _table(path, raw, list(dict.fromkeys(key for row in found for key in row.values)))


def _raw(path: Path, settings: ReaderSettings) -> tuple[str | None, list[Row | BadRow]]:
    """The rows as they stand there, from the list under the run's key, or else from the only list."""
    try:
        return settings.list_key, list(rows(path, settings.list_key, settings.max_row_bytes))
    except ShedError as error:
        if error.setting != "list key":
            raise
    return None, list(rows(path, None, settings.max_row_bytes))


def _lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a text with their places, without blank ones."""
    found = []
    with told_in_one_line(path), text_of(path, PACKED.get(path.suffix.lower()), "\n") as file:
        for number, line in enumerate(file, start=1):
            text = line.strip()
            if not decoded(text) or CONTROL.search(text):
                raise _refused(path, f"line {number} is no text; write an id a line, or a file called {', '.join(KINDS)}")
            if text:
                found.append((f"line {number}", text))
    if not found:
        raise _refused(path, "is empty; write the selected ids to it, one a line")
    return found


def _scalars(raw: Sequence[Row | BadRow]) -> list[tuple[str, Any]] | None:
    """The entries of a JSON list of numbers or texts with their places; None where any is something else."""
    found = []
    for row in raw:
        try:
            value = {} if isinstance(row, Row) else json.loads(row.text)
        except (ValueError, RecursionError):
            return None
        if isinstance(value, list | dict | bool):
            return None
        found.append((_place(row), value))
    return found


def _bare(path: Path, found: list[tuple[str, Any]]) -> Given:
    """Ids alone, or numbers alone."""
    texts = sum(isinstance(value, str) for _, value in found)
    if texts == len(found):
        return Given(path, "ids", [Entry(place, id=text) for place, text in found])
    if texts:
        raise _refused(
            path, f"holds texts ({texts:,}) and others ({len(found) - texts:,}); give ids alone, or `id` and `score`"
        )
    return Given(path, "numbers", [Entry(place, score=score) for place, score in _finite(path, found).items()], "")


def _table(path: Path, raw: Sequence[Row | BadRow], columns: list[str]) -> Given:
    id_key = next((key for key in IDS if key in columns), None)
    others = [key for key in columns if key not in IDS]
    numeric = [SCORE] if SCORE in others else [key for key in others if _are_numbers(raw, key)]
    if set(others) >= OURS:
        numeric = []
    if id_key is None and columns != numeric:
        has = keys_of(dict.fromkeys(columns, ""))
        raise _refused(path, f"has {has}; looked for are `id`, with `score` where rows are scored, or rows of a known form")
    if len(numeric) > 1:
        raise _refused(path, f"has numbers under {keys_of(dict.fromkeys(numeric, ''))}; call the one that counts `score`")
    scored = numeric[0] if numeric else None
    if faults := [row for row in raw if isinstance(row, BadRow) and (scored is None or row.reason not in NOT_FINITE)]:
        raise _unreadable(path, faults, raw)
    scores, found = _scores(path, raw, scored), [row for row in raw if isinstance(row, Row)]
    ids = [name_of(row.values.get(id_key)) if id_key else None for row in found]
    entries = [Entry(place, id, score=scores.get(place)) for place, id in zip(map(_place, found), ids, strict=True)]
    if missing := [entry.place for entry in entries if id_key and entry.id is None]:
        raise _refused(path, f"{len(missing):,} of its {len(entries):,} rows have no `{id_key}`; the first is {missing[0]}")
    return Given(path, "ids" if id_key else "numbers", entries, scored)


def _rows(path: Path, raw: Sequence[Row | BadRow], settings: ReaderSettings) -> Given:
    records = _records(path, settings)
    keys = {key for row in raw if isinstance(row, Row) for key in row.values}
    scored = SCORE if SCORE in keys and not keys >= OURS else None
    scores = _scores(path, [row for row in raw if isinstance(row, Row) or row.reason in NOT_FINITE], scored)
    entries = [Entry(place, record=records.get(place), score=scores.get(place)) for place in map(_place, raw)]
    return Given(path, "rows", entries, scored)


def _records(path: Path, settings: ReaderSettings) -> dict[str, Record]:
    """The file's records by their place, as the run's settings read them, or else by their own keys."""
    faults = []
    for own in (settings, replace(settings, form=None, columns=None)):
        try:
            read = list(read_user(str(path), own))
        except ShedError as error:
            faults.append(error)
            continue
        if found := {_place(one): one for one in read if isinstance(one, Record)}:
            return found
        faults.append(_unreadable(path, read, read))
    raise faults[0]


def _scores(path: Path, raw: Sequence[Row | BadRow], column: str | None) -> dict[str, float]:
    """The scores in a column by their place; none where there is no column."""
    if column is None:
        return {}
    return _finite(path, [(_place(row), row.values.get(column) if isinstance(row, Row) else row.reason) for row in raw])


def _finite(path: Path, found: Sequence[tuple[str, Any]]) -> dict[str, float]:
    """The scores by their place."""
    scores = {place: score for place, value in found if (score := _number(value)) is not None and math.isfinite(score)}
    if wrong := [(place, value) for place, value in found if place not in scores]:
        place, value = wrong[0]
        first = "missing" if value in (None, "") else shown(str(value))
        told = f"{len(wrong):,} of its {len(found):,} scores are no finite numbers; the first is {first} ({place})"
        raise _refused(path, f"{told}; give a score to each row, or leave the row out")
    return scores


def _are_numbers(raw: Sequence[Row | BadRow], key: str) -> bool:
    said = [row.values[key] for row in raw if isinstance(row, Row) and row.values.get(key) not in (None, "")]
    return bool(said) and all(_number(value) is not None for value in said)


def _number(value: Any) -> float | None:
    """The number that a value is, or that a text spells, if there is one."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def name_of(value: Any) -> str | None:
    """An id as text; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def _unreadable(path: Path, faults: Sequence[Any], raw: Sequence[Any]) -> ShedError:
    """The error for rows that the readers set aside."""
    told = f"{len(faults):,} of its {len(raw):,} rows cannot be read; the first is {_place(faults[0])}: {faults[0].reason}"
    return _refused(path, told)


def _place(row: Row | BadRow | Record | BadRecord) -> str:
    return row.origin.rpartition(", ")[2]


def _refused(path: Path, why: str) -> ShedError:
    return ShedError(f"{path}: {why}", "given selection")
