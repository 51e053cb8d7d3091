"""Rows that were set aside, and what to say where too many are.

In: records and rows that could not be read, with reasons. Out: rows of rejects.jsonl; one line for an error.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

from shed.common.errors import ShedError
from shed.data.keeping.spool import Spool
from shed.data.readers import BadRecord
from shed.data.records import Record, from_row

UNFIT = "unfit:"  # how the reasons of records begin that the model cannot take
TOO_LONG, LAST_ALONE = "fits into", "train on the last turn alone"  # how `shed.models` says it in such a reason
REASONS_TOLD = 3  # in an error's one line
MOST_TOLD = 6  # in a line of its own
ENCODING = "save the file as UTF-8"
NONE_MOVED: Mapping[str, int] = MappingProxyType({})
MENDED: Mapping[str, str] = MappingProxyType(  # what mends all rows of a file that are set aside for this reason
    {"not UTF-8": ENCODING, "holds NUL bytes": ENCODING}
)


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was set aside, from which split, and why.

    Attributes:
        of: of a near-duplicate: the id of the record, or the number of the task's text, that it is like.
        similarity: of a near-duplicate: the Jaccard similarity of the two.
    """

    record: Record | BadRecord
    split: str
    reason: str
    of: str | None = None
    similarity: float | None = None

    @property
    def unusable(self) -> bool:
        """True if the row itself is at fault: it could not be read, a part of it is empty, two options are equal, or
        the model cannot take it.
        """
        return isinstance(self.record, BadRecord) or self.reason.startswith(("empty_", "equal_", UNFIT))

    def to_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "reason": self.reason,
            "split": self.split,
            "origin": self.record.origin,
            "source": self.record.source,
        }
        if self.of is not None:
            row |= {"of": self.of, "similarity": self.similarity}
        return row | ({"text": self.record.text} if isinstance(self.record, BadRecord) else self.record.to_row())


def _reject(row: dict[str, Any]) -> Reject:
    """The inverse of `Reject.to_row`, but for the setting that would mend a row that could not be read."""
    one = from_row(row) if "messages" in row else BadRecord(row["origin"], row["source"], row["reason"], row["text"])
    return Reject(one, row["split"], row["reason"], row.get("of"), row.get("similarity"))


class Rejects(Sequence[Reject]):
    """All rows that were set aside, counted as they are added.

    Args:
        folder: where there is a file for them meanwhile; None: they are kept in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.kept: list[Reject] | Spool[Reject] = [] if folder is None else Spool(folder, _reject)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._unusable: Counter[str] = Counter()

    def append(self, reject: Reject) -> None:
        self.kept.append(reject)
        self._counts[reject.split, reject.reason] += 1
        self._unusable[reject.split] += reject.unusable

    def reasons(self, split: str) -> Counter[str]:
        """How many rows of a split were set aside for each reason, in the order in which reasons came up."""
        return Counter({reason: count for (own, reason), count in self._counts.items() if own == split})

    def unusable(self, split: str) -> int:
        """How many of a split are at fault themselves."""
        return self._unusable[split]

    def of(self, split: str) -> Iterator[Reject]:
        """Those of a split."""
        return (reject for reject in self.kept if reject.split == split)

    def __len__(self) -> int:
        return len(self.kept)

    @overload
    def __getitem__(self, index: int) -> Reject: ...
    @overload
    def __getitem__(self, index: slice) -> list[Reject]: ...
    def __getitem__(self, index: int | slice) -> Reject | list[Reject]:
        return self.kept[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rejects) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it grows


@dataclass
class _Reasons:
    """Reasons with their counts and the place of the first row of each."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reject: Reject) -> None:
        self.counts[reject.reason] += 1
        self.first.setdefault(reject.reason, reject.record.origin)

    def told(self) -> str:
        """The largest."""
        most = self.counts.most_common()
        told = [f"{count:,} {reason} (first: {self.first[reason]})" for reason, count in most[:REASONS_TOLD]]
        if len(most) > REASONS_TOLD:
            told.append(f"{sum(count for _, count in most[REASONS_TOLD:]):,} for other reasons")
        return ", ".join(told) or "none"


def too_many(split: str, kept: Iterable[Record], every: int, rejects: Rejects, allowed: float) -> ShedError:
    """The error for a split with more unusable rows than are allowed.

    Where most of them are the rows of files that have no usable one, these files are at fault, and not single rows: it says
    what is wrong with them, and not that more rows could be allowed. Where the model cannot take most of them, it is the
    model's setting that must change (`remedy`).

    Args:
        kept: the split's records.
        every: how many rows it has, with those that were set aside.
        rejects: all that was set aside.
        allowed: the share of its rows, 0 to 1, that may be unusable.
    """
    usable = {"", *map(_file, kept), *(_file(reject.record) for reject in rejects.of(split) if not reject.unusable)}
    unusable, whole, files = _Reasons(), _Reasons(), dict[str, None]()
    for reject in rejects.of(split):
        if reject.unusable:
            unusable.add(reject)
            if (file := _file(reject.record)) not in usable:
                whole.add(reject)
                files[file] = None
    count, of_files = unusable.counts.total(), whole.counts.total()
    if 2 * of_files > count:
        more = f" and {len(files) - 1:,} more file{'s' if len(files) > 2 else ''}" if len(files) > 1 else ""
        where = f"{next(iter(files))}{more}"
        rows = f"{of_files:,} {'row' if of_files == 1 else 'rows'}"
        most = whole.counts.most_common(1)[0][0]
        todo, mended_by = remedy(most) or (MENDED.get(most, "mend what is wrong with all of them"), f"records of {split}")
        return ShedError(
            f"the {split}: of {rows} in {where} none can be used: {whole.told()}; each is in rejects.jsonl; {todo}", mended_by
        )
    unfit = Counter({reason: rows for reason, rows in unusable.counts.items() if reason.startswith(UNFIT)})
    most = unfit.most_common(1)[0][0] if 2 * unfit.total() > count else ""
    todo, mended_by = remedy(most) or ("mend the rows, or allow more", "max rejects")
    return ShedError(
        f"the {split}: {count:,} of {every:,} rows cannot be read, are empty or do not fit the model, "
        f"a share of {count / every:.2g} where {allowed:g} is allowed: {unusable.told()}; "
        f"each is in rejects.jsonl; {todo}",
        mended_by,
    )


def remedy(reason: str) -> tuple[str, str] | None:
    """For rows that the model cannot take: what to do, and the setting where it is done; None for other rows."""
    if not reason.startswith(UNFIT):
        return None
    if LAST_ALONE in reason:
        return "train on the last turn alone", "turns to train on"
    if TOO_LONG in reason:
        return "raise the context length, or shorten what must stay: the tools and the system text", "context length"
    return "the plain prompt form can hold them", "prompt form"


def counts_told(split: str, kept: int, reasons: Counter[str], moved: Mapping[str, int] = NONE_MOVED) -> str:
    """A line with the reasons of rejects.jsonl: "pool: 91 rows read, 41 kept; set aside: 50 exact_duplicate".

    Args:
        reasons: how many rows of the split were set aside for each.
        moved: how many records were split off for other splits.
    """
    counts = reasons.most_common()
    said = [f"{count:,} {reason}" for reason, count in counts[:MOST_TOLD]]
    if len(counts) > MOST_TOLD:
        said.append(f"{sum(count for _, count in counts[MOST_TOLD:]):,} for other reasons")
    read = kept + sum(moved.values()) + sum(count for _, count in counts)
    parts = [f"{split}: {read:,} {'row' if read == 1 else 'rows'} read", f"{kept:,} kept"]
    parts += [f"{count:,} split off for {other}" for other, count in moved.items()]
    return ", ".join(parts) + (f"; set aside: {', '.join(said)}" if said else "")


def reasons_of(rejects: Iterable[Reject]) -> str:
    """The largest reasons with their counts and the place of the first row of each."""
    found = _Reasons()
    for reject in rejects:
        found.add(reject)
    return found.told()


def _file(record: Record | BadRecord) -> str:
    """The file that a row is of: what stands before its place; "" where there is none."""
    return record.origin.rpartition(", ")[0]
