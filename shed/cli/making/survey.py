"""All rows of a split read, and a sample of them held: what `shed check` does with a split of many rows.

In: the rows of a split, one at a time. Out: the rows that the first stages are given, and counts of all rows. Memory grows by
about 100 bytes a row beyond the sample, for the digests by which duplicates are known.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from shed.common.errors import ShedError
from shed.data.duplicates import content_key
from shed.data.readers import BadRecord
from shed.data.records import Record

HELD = 20_000  # rows of a split that are held; a share of them is known to within 0.7 percentage points
DUPLICATE = "duplicate"
NOT_DRAWN = "not_drawn"
Rows = Iterator[Record | BadRecord]


@dataclass
class Survey:
    """Of a split of which a sample is held.

    Attributes:
        rows: all that were read.
        unreadable: of all rows, by reason.
        first: where the first row of each reason, and the first duplicate, stands.
        duplicates: of all rows, those equal to an earlier one, or equal but for case and spacing.
        looked_at: how many rows are in the sample; 0 where it was refused before one was drawn.
    """

    rows: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    duplicates: int = 0
    looked_at: int = 0

    @property
    def usable(self) -> int:
        """Rows that are readable and no duplicates: at most so many can be used."""
        return self.rows - self.unreadable.total() - self.duplicates


class Sample:
    """A uniform sample of the rows that it is offered, by Vitter's algorithm R.

    Attributes:
        size: rows that are held at most.
        offered: rows so far.
        held: with their places, in no order.
    """

    def __init__(self, size: int, rng: random.Random) -> None:
        self.size, self.offered, self._rng = size, 0, rng
        self.held: list[tuple[int, Record | BadRecord]] = []

    def offer(self, place: int, row: Record | BadRecord) -> None:
        self.offered += 1
        if len(self.held) < self.size:
            self.held.append((place, row))
        elif (at := int(self._rng.random() * self.offered)) < self.size:
            self.held[at] = (place, row)


def sampled(
    rows: Iterable[Record | BadRecord], size: int, seed: int, surveys: dict[str, Survey], split: str, max_rejects: float
) -> Rows:
    """The rows as they are, if there are at most `size`; else a random sample of so many that are no duplicates, in order.

    Rows that cannot be read are in the sample in proportion, rounded down.

    Args:
        surveys: gets the split's counts, if it is sampled.
        max_rejects: the share of all rows, 0 to 1, that may be unreadable.

    Raises:
        ShedError: more are.
    """
    rows = iter(rows)
    first = list(islice(rows, size + 1))
    if len(first) <= size:
        yield from first
        return
    own = surveys[split] = Survey()
    rng = random.Random(f"{seed}/{split} looked at")
    good, bad, seen = Sample(size, rng), Sample(size, rng), set[bytes]()
    for place, row in enumerate(chain(first, rows)):
        own.rows += 1
        if isinstance(row, BadRecord):
            own.unreadable[row.reason] += 1
            own.first.setdefault(row.reason, row.origin)
            bad.offer(place, row)
        elif (key := content_key(row)) in seen:
            own.duplicates += 1
            own.first.setdefault(DUPLICATE, row.origin)
        else:
            seen.add(key)
            good.offer(place, row)
    del seen, first
    if (count := own.unreadable.total()) > max_rejects * own.rows:
        reason, most = own.unreadable.most_common(1)[0]
        raise ShedError(
            f"the {split}: {count:,} of {own.rows:,} rows cannot be read, a share of {count / own.rows:.2g} where "
            f"{max_rejects:g} is allowed: most often {reason} ({most:,} rows, the first is {own.first[reason]}); "
            "mend them, or allow more",
            "max rejects",
        )
    among = len(good.held) * bad.offered // good.offered if good.offered else size
    held = sorted((*good.held, *bad.held[:among]), key=lambda one: one[0])
    own.looked_at = len(held)
    yield from (row for _, row in held)


def on_all_rows(card: Mapping[str, Any], survey: Survey, asked: int | None) -> dict[str, Any]:
    """A split's card, with counts of all rows in the place of the sample's.

    Args:
        card: of the sample.
        asked: how many rows are drawn; None: all.

    Returns:
        the card; `kept` is the most that can be kept where `kept_at_most` is true, and `looked_at` has the sample's rows and
        what else was set aside of them.
    """
    split_off = sum(card.get("split_off", {}).values())
    most = survey.usable - split_off
    of_all = {*survey.unreadable, NOT_DRAWN}
    aside = {reason: count for reason, count in card["rejected_by_reason"].items() if reason not in of_all}
    kept = min(asked or most, most)
    reasons = dict(survey.unreadable) | ({DUPLICATE: survey.duplicates} if survey.duplicates else {})
    at_most = asked is None or card["kept"] < asked
    if not at_most and not aside:
        reasons[NOT_DRAWN] = most - kept
    rejected = sum(reasons.values())
    return {
        **card,
        "in": survey.rows,
        "kept": kept,
        "kept_at_most": at_most,
        "rejected": rejected,
        "rejected_by_reason": dict(sorted(reasons.items())),
        "looked_at": {"rows": survey.looked_at, "rejected_by_reason": aside},
    }
