"""From raw splits to a pool, a dev set and a test set that share no record, with every rejected record accounted for.

In: the records of three splits. Out: a `PreparedData` with what was kept, what was set aside and why, and the data card.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shed.common.errors import ShedError
from shed.data.recipes import is_recipe, read_recipe
from shed.data.records import Record

SPLITS = ("dev", "test", "pool")


@dataclass(frozen=True)
class Reject:
    """A record that was set aside, from which split, and why."""

    record: Record
    split: str
    reason: str

    def to_row(self) -> dict[str, Any]:
        return {"reason": self.reason, "split": self.split, **self.record.to_row()}


@dataclass(frozen=True)
class PreparedData:
    """Three disjoint splits and the rest; `len(read) == kept + rejected` holds for each split."""

    pool: list[Record]
    dev: list[Record]
    test: list[Record]
    rejects: list[Reject]

    def card(self, paths: dict[str, str]) -> dict[str, Any]:
        """The data card: for each split its sources and licences, counts in, kept and rejected by reason, lengths in words."""
        return {split: self._card_of(split, paths[split]) for split in ("pool", "dev", "test")}

    def _card_of(self, split: str, path: str) -> dict[str, Any]:
        kept: list[Record] = getattr(self, split)
        rejected = Counter(reject.reason for reject in self.rejects if reject.split == split)
        words = [len(record.response.split()) for record in kept]
        prompts = [len(record.prompt.split()) for record in kept]
        return {
            "in": len(kept) + sum(rejected.values()),
            "kept": len(kept),
            "rejected": sum(rejected.values()),
            "rejected_by_reason": dict(sorted(rejected.items())),
            "kept_by_source": dict(sorted(Counter(record.source for record in kept).items())),
            "licences": {source.name: source.licence for source in read_recipe(path).sources}
            if is_recipe(path)
            else {Path(path).stem: "the user's own"},
            "prompt_words_mean": float(np.mean(prompts)),
            "response_words_mean": float(np.mean(words)),
            "response_words_max": max(words),
        }


def prepare(
    pool: Iterable[Record],
    dev: Iterable[Record],
    test: Iterable[Record],
    *,
    pool_rows: int | None,
    dev_rows: int | None,
    test_rows: int | None,
    seed: int,
) -> PreparedData:
    """Set aside what cannot be used, then draw each split's rows, stratified over its sources.

    Splits are taken in the order dev, test, pool; a record whose prompt already stands in an earlier split is set aside
    from the later one, and so nothing that defines or measures utility can be selected for tuning. Within a split the first
    of equal records is kept. `*_rows` is how many records to draw (None: all); sources share it equally, and what a small
    source cannot fill goes to the others.

    Raises:
        ShedError: a split has no usable record, or the pool fewer than two.
    """
    rejects: list[Reject] = []
    taken: dict[str, str] = {}
    kept: dict[str, list[Record]] = {}
    for split, records, rows in zip(SPLITS, (dev, test, pool), (dev_rows, test_rows, pool_rows), strict=True):
        usable = _usable(list(records), split, taken, rejects)
        drawn = _draw(usable, rows, random.Random(f"{seed}/{split}"))
        chosen = {record.id for record in drawn}
        rejects += [Reject(record, split, "not_drawn") for record in usable if record.id not in chosen]
        for record in drawn:
            taken.setdefault(record.normalised_prompt, split)
        least = 2 if split == "pool" else 1
        if len(drawn) < least:
            reasons = Counter(reject.reason for reject in rejects if reject.split == split)
            counts = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "none"
            raise ShedError(
                f"the {split} has {len(drawn)} usable records and needs {least}; set aside: {counts}", f"records of {split}"
            )
        kept[split] = drawn
    return PreparedData(**kept, rejects=rejects)


def _usable(records: list[Record], split: str, taken: dict[str, str], rejects: list[Reject]) -> list[Record]:
    usable: list[Record] = []
    exact: set[str] = set()
    near: set[str] = set()
    for record in records:
        if not record.response.strip():
            reason = "empty_response"
        elif not record.prompt.strip():
            reason = "empty_prompt"
        elif not all(choice.strip() for choice in record.choices):
            reason = "empty_choice"
        elif record.id in exact:
            reason = "exact_duplicate"
        elif record.normalised in near:
            reason = "normalised_duplicate"
        elif record.normalised_prompt in taken:
            reason = f"in_{taken[record.normalised_prompt]}"
        else:
            usable.append(record)
            exact.add(record.id)
            near.add(record.normalised)
            continue
        rejects.append(Reject(record, split, reason))
    return usable


def _draw(records: list[Record], rows: int | None, rng: random.Random) -> list[Record]:
    """A seeded shuffle of `rows` records, as many from each source as an equal share allows."""
    by_source: dict[str, list[Record]] = {}
    for record in records:
        by_source.setdefault(record.source, []).append(record)
    for group in by_source.values():
        rng.shuffle(group)
    left = len(records) if rows is None else min(rows, len(records))
    drawn: list[Record] = []
    for n, group in enumerate(sorted(by_source.values(), key=len)):
        share = min(len(group), left // (len(by_source) - n))
        drawn += group[:share]
        left -= share
    rng.shuffle(drawn)
    return drawn
