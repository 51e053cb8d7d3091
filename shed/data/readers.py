"""Readers of a user's own rows: from a path, in any of the usual forms, to records.

In: where the rows are, and how to read them. Out: `Record`s, and `BadRecord`s for rows that are none, one at a time.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError
from shed.common.spelling import did_you_mean
from shed.data.files import BadRow, Row, data_files, dataset_rows, distinct_names, is_dataset, rows, side_keys
from shed.data.formats.opening import bad
from shed.data.forms.characters import CONTROL, LINE_BREAK
from shed.data.forms.conversations import TrainOn
from shed.data.forms.found import NEEDS, FormName, check_columns, form_found, form_of
from shed.data.forms.rows import RowReader
from shed.data.forms.values import SetAside, as_given, shown
from shed.data.records import Record

MEGABYTE = 1_000_000
FIRST_ROWS = 20  # of each file, by which its form is found
TABLES = (".parquet", ".arrow", ".feather")


@dataclass(frozen=True)
class ReaderSettings:
    """How a user's rows are read.

    Attributes:
        form: of all rows; None: found for each file by its first rows.
        columns: by our name (`prompt`, `response`, `system`, `context`, `history`, `choices`, `answer`, `source`, `messages`,
            `tools`, `weight`, `reasoning`) the user's column.
        list_key: where a JSON file is one object: the key of the list in it.
        ignore: keys that say nothing about what is tuned; `*`: all that the form does not use.
        train_on: every assistant's turn, or the last alone.
        max_row_mb: a row of more megabytes is set aside.
    """

    form: FormName | None
    columns: Mapping[str, str] | None
    list_key: str | None
    ignore: Sequence[str]
    train_on: TrainOn
    max_row_mb: float

    @property
    def max_row_bytes(self) -> int:
        return round(self.max_row_mb * MEGABYTE)


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A row that is set aside, and why.

    Attributes:
        text: the row's beginning, printable.
        setting: the setting that would mend it, in plain words, if there is one.
    """

    origin: str
    source: str
    reason: str
    text: str
    setting: str | None = None


@dataclass
class Reading:
    """What was read; `read_user` fills it in as its rows are taken.

    Attributes:
        rows: the records by file and form.
        set_aside: the bad rows by file and reason.
        left_out: files of a folder or a glob that hold no rows.
    """

    rows: Counter[tuple[str, FormName]] = field(default_factory=Counter)
    set_aside: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)

    @property
    def forms(self) -> Counter[str]:
        """The records by form."""
        counts: Counter[str] = Counter()
        for (_, form), count in self.rows.items():
            counts[form] += count
        return counts

    def told(self) -> list[str]:
        """A line for each file: "pool.jsonl: 1,000 rows of the form alpaca; 3 rows set aside"."""
        parts: dict[str, list[str]] = {}
        for (file, form), count in self.rows.items():
            parts.setdefault(file, []).append(f"{_counted(count)} of the form {form}")
        aside: dict[str, Counter[str]] = {}
        for (file, reason), count in self.set_aside.items():
            aside.setdefault(file, Counter())[reason] += count
        for file, reasons in aside.items():
            every = "" if file in parts else f", all there are; most often: {reasons.most_common(1)[0][0]}"
            parts.setdefault(file, []).append(f"{_counted(reasons.total())} set aside{every}")
        left_out = [f"{file}: left out, since it is one JSON object without a list of rows" for file in self.left_out]
        return [*(f"{file}: {'; '.join(said)}" for file, said in parts.items()), *left_out]


def read_user(
    where: str, settings: ReaderSettings, name: str | None = None, reading: Reading | None = None
) -> Iterator[Record | BadRecord]:
    """The rows of a file, a folder, a glob or a Hugging Face dataset, in a fixed order; memory does not grow with the files.

    In a table (Parquet, Arrow, a dataset) an object's null is taken for a key that the object lacks, since a table gives every
    object the keys of all.

    Args:
        where: the path or the address.
        settings: how rows are read.
        name: the source of all rows; None: what a row's own `source` says, else its file's name without suffixes.
        reading: counts what is read.

    Raises:
        ShedError: nothing is there, a file as a whole cannot be read, its form is not known, or there is no row at all.
    """
    _check(settings, name)
    reading = Reading() if reading is None else reading
    empty = True
    for file, label, found in _sources(where, settings, reading):
        for one in records_of(found, file, name or label, name, settings, reading):
            empty = False
            yield one
    if empty:
        but = f" but {', '.join(reading.left_out[:3])}, each one JSON object without a list of rows" if reading.left_out else ""
        raise ShedError(f"{where}: holds no rows{but}; write at least two records to it")


def _check(settings: ReaderSettings, name: str | None) -> None:
    if name is not None and (CONTROL.search(name) or LINE_BREAK.search(name)):
        raise ShedError(f"{shown(name)}: the name of a source must be a single line")
    if settings.form is not None and settings.form not in NEEDS:
        hint = did_you_mean(settings.form, NEEDS)
        raise ShedError(f"no form is called {shown(settings.form)}; {hint}there are {', '.join(NEEDS)}", "form")
    try:
        check_columns(settings.columns or {})
    except ValueError as error:
        raise ShedError(f"columns: {error}", "columns") from error


def _sources(where: str, settings: ReaderSettings, reading: Reading) -> Iterator[tuple[str, str, Iterator[Row | BadRow]]]:
    """Each file with its own name and its rows."""
    if is_dataset(where):
        first = dataset_rows(where, settings.max_row_bytes)
        yield where, where.split("?")[0].split("@")[0].rstrip("/").rsplit("/", 1)[-1], map(without_nulls, first)
        return
    files = data_files(where)
    for path, label in distinct_names(files).items():
        if CONTROL.search(str(path)) or LINE_BREAK.search(str(path)):
            raise ShedError(f"{shown(path.name)}: the file's path holds a control character; rename it")
        if len(files) > 1 and _is_beside(path, settings):
            reading.left_out.append(str(path))
            continue
        found = rows(path, settings.list_key, settings.max_row_bytes)
        is_table = path.name.lower().removesuffix(".gz").removesuffix(".zst").endswith(TABLES)
        yield str(path), label, map(without_nulls, found) if is_table else found


def _is_beside(path: Path, settings: ReaderSettings) -> bool:
    """True for a file that stands beside the data and holds no rows: it is one JSON object, without a list and of no form."""
    keys = side_keys(path)
    if keys is None or settings.list_key in keys:
        return False
    return form_of(dict.fromkeys(keys, "x"), settings.columns or {}) is None


def records_of(
    found: Iterator[Row | BadRow], file: str, label: str, name: str | None, settings: ReaderSettings, reading: Reading
) -> Iterator[Record | BadRecord]:
    """The records of one file's rows, or of rows that are in memory.

    Args:
        file: what errors and `reading` call it.
        label: the source of rows that name none.
        name: the source of all rows, whatever they say; None: what they say.

    Raises:
        ShedError: the form of the rows is not known.
    """
    first = list(itertools.islice(found, FIRST_ROWS))
    reader: RowReader | None = None
    for row in itertools.chain(first, found):
        if isinstance(row, BadRow):
            reading.set_aside[file, row.reason] += 1
            yield BadRecord(row.origin, label, row.reason, row.text)
            continue
        if reader is None:
            reader = _reader(file, [one.values for one in (*first, row) if isinstance(one, Row)], settings)
        try:
            record = reader.record(row.values, name, label, row.origin)
        except SetAside as reason:
            reading.set_aside[file, str(reason)] += 1
            yield BadRecord(row.origin, label, str(reason), _text(row.values), reason.setting)
        else:
            reading.rows[file, reader.form] += 1
            yield record


def _reader(file: str, first: Sequence[Mapping[str, Any]], settings: ReaderSettings) -> RowReader:
    columns = dict(settings.columns or {})
    form = settings.form or form_found(file, first, columns, settings.ignore)
    return RowReader(form, columns, frozenset(settings.ignore), settings.train_on)


def _text(values: Mapping[str, Any]) -> str:
    """The beginning of a row that is set aside."""
    try:
        text = as_given(values, ())
    except (SetAside, RecursionError):
        text = str(dict(values))
    return bad("", text).text


def without_nulls(row: Row | BadRow) -> Row | BadRow:
    """A table's row without the keys of objects that are null, since a table gives every object the keys of all."""
    if isinstance(row, BadRow):
        return row
    return Row(row.origin, {key: _pruned(value) for key, value in row.values.items()}, row.file)


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def _counted(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"
