"""Rows that were set aside, and what to say where too many are.

In: records and rows that could not be read, with reasons. Out: rows of rejects.jsonl; one line for an error.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shed.common.errors import ShedError
from shed.data.readers import BadRecord
from shed.data.records import Record

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


def too_many(split: str, kept: Sequence[Record], rejects: Sequence[Reject], allowed: float) -> ShedError:
    """The error for a split with more unusable rows than are allowed.

    Where most of them are the rows of files that have no usable one, these files are at fault, and not single rows: it says
    what is wrong with them, and not that more rows could be allowed. Where the model cannot take most of them, it is the
    model's setting that must change (`remedy`).

    Args:
        kept: the split's records.
        rejects: all that was set aside from it.
        allowed: the share of its rows, 0 to 1, that may be unusable.
    """
    unusable = [reject for reject in rejects if reject.unusable]
    usable = {""} | {_file(record) for record in kept} | {_file(reject.record) for reject in rejects if not reject.unusable}
    whole = [reject for reject in unusable if _file(reject.record) not in usable]
    if 2 * len(whole) > len(unusable):
        files = list(dict.fromkeys(_file(reject.record) for reject in whole))
        where = f"{files[0]}{f' and {len(files) - 1:,} more file' if len(files) > 1 else ''}{'s' if len(files) > 2 else ''}"
        rows = f"{len(whole):,} {'row' if len(whole) == 1 else 'rows'}"
        most = Counter(reject.reason for reject in whole).most_common(1)[0][0]
        todo, mended_by = remedy(most) or (MENDED.get(most, "mend what is wrong with all of them"), f"records of {split}")
        return ShedError(
            f"the {split}: of {rows} in {where} none can be used: {reasons_of(whole)}; each is in rejects.jsonl; {todo}",
            mended_by,
        )
    every = len(kept) + len(rejects)
    unfit = Counter(reject.reason for reject in unusable if reject.reason.startswith(UNFIT))
    most = unfit.most_common(1)[0][0] if 2 * unfit.total() > len(unusable) else ""
    todo, mended_by = remedy(most) or ("mend the rows, or allow more", "max rejects")
    return ShedError(
        f"the {split}: {len(unusable):,} of {every:,} rows cannot be read, are empty or do not fit the model, "
        f"a share of {len(unusable) / every:.2g} where {allowed:g} is allowed: {reasons_of(unusable)}; "
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


def counts_told(split: str, kept: int, rejects: Sequence[Reject], moved: Mapping[str, int] = NONE_MOVED) -> str:
    """A line with the reasons of rejects.jsonl: "pool: 91 rows read, 41 kept; set aside: 50 exact_duplicate".

    Args:
        moved: how many records were split off for other splits.
    """
    counts = Counter(reject.reason for reject in rejects if reject.split == split).most_common()
    said = [f"{count:,} {reason}" for reason, count in counts[:MOST_TOLD]]
    if len(counts) > MOST_TOLD:
        said.append(f"{sum(count for _, count in counts[MOST_TOLD:]):,} for other reasons")
    read = kept + sum(moved.values()) + sum(count for _, count in counts)
    parts = [f"{split}: {read:,} {'row' if read == 1 else 'rows'} read", f"{kept:,} kept"]
    parts += [f"{count:,} split off for {other}" for other, count in moved.items()]
    return ", ".join(parts) + (f"; set aside: {', '.join(said)}" if said else "")


def reasons_of(rejects: Sequence[Reject]) -> str:
    """The largest reasons with their counts and the place of the first row of each."""
    first: dict[str, str] = {}
    for reject in rejects:
        first.setdefault(reject.reason, reject.record.origin)
    counts = Counter(reject.reason for reject in rejects).most_common()
    told = [f"{count:,} {reason} (first: {first[reason]})" for reason, count in counts[:REASONS_TOLD]]
    if len(counts) > REASONS_TOLD:
        told.append(f"{sum(count for _, count in counts[REASONS_TOLD:]):,} for other reasons")
    return ", ".join(told) or "none"


def _file(record: Record | BadRecord) -> str:
    """The file that a row is of: what stands before its place; "" where there is none."""
    return record.origin.rpartition(", ")[0]
