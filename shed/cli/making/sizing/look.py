"""What a split holds, by its first rows.

In: where it is, and how rows are read. Out: a `Look`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from shed.cli.making.sizing.rows import exact_rows, rows_by_bytes
from shed.cli.making.sizing.tokens import FRAME, counter
from shed.data.readers import BadRecord, ReaderSettings, Reading
from shed.data.records import Record
from shed.data.splits import read_split

LOOKED_AT = 2_000  # rows
COUNTED = 200  # rows whose tokens are counted; of the others, by their characters
QUOTES = 1.1  # bytes of a row for each byte of what is said in it: about, by keys and quotation marks


@dataclass(frozen=True)
class Look:
    """What a split holds.

    Attributes:
        rows: how many; about, unless they are `exact`. None where nothing says.
        tokens, response_tokens: of a record as it is tuned on, and of its response, about; nothing is cut.
        forms: the records that were read, by form.
        unreadable: how many of the rows looked at could not be read, and the first reason.
        setting: the setting that would mend that, in plain words, if there is one.
        first: some records, whose tokens were counted.
        counted: of each of them the tokens of the record, of its response, and of its options besides the response.
    """

    rows: int | None
    exact: bool
    tokens: float
    response_tokens: float
    forms: Mapping[str, int]
    unreadable: int
    reason: str | None
    setting: str | None
    first: Sequence[Record] = ()
    counted: Sequence[tuple[float, float, float]] = ()


def look(
    where: str, settings: ReaderSettings, split: str = "pool", count: Callable[[str], float] | None = None, form: str = "plain"
) -> Look:
    """Read the first rows of a split.

    Args:
        count: counts the tokens of a text.
        form: the prompt form, which adds some.

    Raises:
        ShedError: nothing is there, or what is there holds no rows.
    """
    reading, kept, bad, tokens = Reading(), list[Record](), list[BadRecord](), count or counter()
    for row in islice(read_split(where, settings, reading, split=split), LOOKED_AT):
        if isinstance(row, BadRecord):
            bad.append(row)
        else:
            kept.append(row)
    seen = len(kept) + len(bad)
    first = kept[:COUNTED]
    counted = [_tokens(record, tokens, FRAME[form]) for record in first]
    characters = [sum(len(turn.text) for turn in record.messages) for record in kept]
    every = sum(characters) / max(1, sum(characters[: len(first)]))  # of the counted ones' characters
    whole = sum(own[0] - FRAME[form] for own in counted) * every / max(1, len(kept)) + FRAME[form]
    response = sum(own[1] for own in counted) * every / max(1, len(kept))
    rows, exact = seen, seen < LOOKED_AT
    found: int | None = rows
    if not exact:
        origin = (kept[0] if kept else bad[0]).origin
        found = exact_rows(where, origin, int(settings.max_row_mb * 1_000_000))
        exact = found is not None
        if found is None and (about := rows_by_bytes(where, _bytes_a_row(kept))) is not None:
            found = max(seen, about)
    reason, setting = (bad[0].reason, bad[0].setting) if bad else (None, None)
    return Look(found, exact, whole, response, dict(reading.forms), len(bad), reason, setting, first, counted)


def _tokens(record: Record, count: Callable[[str], float], frame: int) -> tuple[float, float, float]:
    """Of the record, of what of it is trained, and of its options besides the response."""
    parts = [(count(turn.text), turn.trained) for turn in record.messages]
    options = sum(count(option) for n, option in enumerate(record.choices) if n != record.answer)
    return sum(own for own, _ in parts) + frame, sum(own for own, trained in parts if trained), options


def _bytes_a_row(records: Sequence[Record]) -> float:
    """In a file: as the user gave it where that is known, else about."""
    sizes = [
        len(record.given.encode()) + 1 if record.given else QUOTES * sum(len(turn.text.encode()) for turn in record.messages)
        for record in records
    ]
    return sum(sizes) / max(1, len(sizes))
