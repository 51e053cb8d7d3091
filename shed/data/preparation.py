"""From raw splits to a pool, a dev set and a test set that share no record, with every row that is set aside accounted for.

In: the records of three splits, dev and test if there are any, and rows that could not be read. Out: a `PreparedData` with what
was kept, what was set aside and why, and the data card. Where there is no dev or no test, it is split off the pool.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from shed.common.errors import ShedError
from shed.data.duplicates import content_key
from shed.data.leakage import Elsewhere
from shed.data.near_duplicates import NearIndex, said, sketch
from shed.data.readers import BadRecord
from shed.data.records import Record
from shed.data.rejects import UNFIT, Reject, counts_told, reasons_of, too_many
from shed.data.splitting.split_off import SplitOff, sizes, split_off
from shed.data.tasks.documents import questions_of

SPLITS = ("dev", "test", "pool")
OWN_LICENCE = "the user's own"
NO_TASKS: Mapping[str, Iterable[str]] = MappingProxyType({})


@dataclass(frozen=True)
class PreparedData:
    """Three disjoint splits and the rest: `len(read) == kept + rejected`, of the pool `== kept + split off + rejected`.

    Attributes:
        off_pool: what is split off the pool: dev, test, both or neither.
        unsplit: why it could not be; then these splits are empty.
    """

    pool: list[Record]
    dev: list[Record]
    test: list[Record]
    rejects: list[Reject]
    off_pool: Mapping[str, SplitOff] = field(default_factory=dict)
    unsplit: ShedError | None = None

    def check(self, max_rejects: float) -> None:
        """Refuse splits that cannot be used; call it when the rejects have been written for the user to look at.

        Args:
            max_rejects: the share of a split's rows, 0 to 1, that may be unreadable, empty or unfit for the model. Duplicates,
                rows that another split has and rows that were not drawn do not count.

        Raises:
            ShedError: more rows of a split are unusable, or it has no usable record, the pool fewer than two, or than are
                needed to split off the others.
        """
        for split in SPLITS:
            if split in self.off_pool:  # the pool's rows
                continue
            kept: list[Record] = getattr(self, split)
            rejected = [reject for reject in self.rejects if reject.split == split]
            usable = kept + [record for own in self.off_pool.values() for record in own.records if split == "pool"]
            if sum(reject.unusable for reject in rejected) > max_rejects * (len(usable) + len(rejected)):
                raise too_many(split, usable, rejected, max_rejects)
            if split == "pool" and self.unsplit is not None:
                raise self.unsplit
            least = 2 if split == "pool" else 1
            if len(kept) < least:
                raise ShedError(
                    f"the {split} has {len(kept)} usable records and needs {least}; set aside: {reasons_of(rejected)}",
                    f"records of {split}",
                )

    def card(
        self, licences: Mapping[str, Mapping[str, str]], forms: Mapping[str, Mapping[str, int]] | None = None
    ) -> dict[str, dict[str, Any]]:
        """The data card: of each split its sources and licences, counts in, kept and rejected by reason, turns and lengths.

        Args:
            licences: of each split, the licence of each source that a recipe names; others are the user's own.
            forms: of each split, the rows that were read by their form.
        """
        return {split: self._card_of(split, licences[split], (forms or {}).get(split)) for split in ("pool", "dev", "test")}

    def counts_told(self, split: str) -> str:
        """A line with what was read, kept, split off and set aside of a split that was read."""
        return counts_told(split, len(getattr(self, split)), self.rejects, self._moved(split))

    def _moved(self, split: str) -> dict[str, int]:
        """How many records of a split were split off for others."""
        return {other: len(own.records) for other, own in self.off_pool.items() if split == "pool" and own.records}

    def _card_of(self, split: str, licences: Mapping[str, str], forms: Mapping[str, int] | None) -> dict[str, Any]:
        kept: list[Record] = getattr(self, split)
        rejected = Counter(reject.reason for reject in self.rejects if reject.split == split)
        sources = sorted({record.source for record in kept})
        words = [len(record.response.split()) for record in kept]
        prompts = [len(record.prompt.split()) for record in kept]
        moved = self._moved(split)
        return {
            "in": len(kept) + sum(moved.values()) + sum(rejected.values()),
            "kept": len(kept),
            **({"split_off": moved} if moved else {}),
            **({"split_off_from": "pool"} if split in self.off_pool else {}),
            "rejected": sum(rejected.values()),
            "rejected_by_reason": dict(sorted(rejected.items())),
            "kept_by_source": dict(sorted(Counter(record.source for record in kept).items())),
            "licences": {**licences, **{source: OWN_LICENCE for source in sources if source not in licences}},
            **({"forms": dict(sorted(forms.items()))} if forms else {}),
            "turns": sum(len(record.messages) for record in kept),
            "trained_turns": sum(turn.trained for record in kept for turn in record.messages),
            "records_with_tools": sum(bool(record.tools) for record in kept),
            "prompt_words_mean": float(np.mean(prompts)) if kept else 0.0,
            "response_words_mean": float(np.mean(words)) if kept else 0.0,
            "response_words_max": max(words, default=0),
        }


def prepare(
    pool: Iterable[Record | BadRecord],
    dev: Iterable[Record | BadRecord] | None,
    test: Iterable[Record | BadRecord] | None,
    *,
    pool_rows: int | None,
    dev_rows: int | None,
    test_rows: int | None,
    near: float | None,
    seed: int,
    tasks: Mapping[str, Iterable[str]] = NO_TASKS,
    unfit: Callable[[Record], str | None] = lambda record: None,
) -> PreparedData:
    """Set aside what cannot be used, then draw each split's rows, stratified over its sources.

    Splits are taken in the order dev, test, pool, each read once and from its start to its end; a record whose prompt already
    stands in an earlier split is set aside from the later one, and so nothing that defines or measures utility can be selected
    for tuning (see `shed.data.leakage`). Within a split the first of equal records is kept. `*_rows` is how many to draw
    (None: all); sources share it equally, and what a small source cannot fill goes to the others. Call `PreparedData.check` on
    the result.

    Where dev or test is None, it is split off what is usable of the pool, in proportion to sources (None of its rows: a tenth,
    at most 300): `shed.data.splitting.split_off` says how records that are alike are kept on one side. The pool's own rows
    are then drawn from what is left.

    Args:
        near: the Jaccard similarity of word trigrams from which a record is a near-duplicate, above 0 and at most 1: all of it
            within the pool, its prompt where it is compared to earlier splits and to tasks. None: only equal ones are.
        tasks: the questions of named tasks that will be measured, by the task's name: neither the pool nor dev, by which rows
            are selected, may hold them.
        unfit: why the model cannot be tuned on a record or measured by it, or None.
    """
    rejects: list[Reject] = []
    elsewhere = Elsewhere(near)
    for name, texts in tasks.items():
        for n, text in enumerate(texts, start=1):
            elsewhere.add_task(name, n, text)
    kept: dict[str, list[Record]] = {}
    lacking: dict[str, int | None] = {}
    off: dict[str, SplitOff] = {}
    unsplit: ShedError | None = None
    for split, rows_in, rows in zip(SPLITS, (dev, test, pool), (dev_rows, test_rows, pool_rows), strict=True):
        if rows_in is None:
            lacking[split] = rows
            continue
        usable = list(_usable(rows_in, split, elsewhere, near, unfit, rejects))
        if split == "pool" and lacking:
            try:
                off, drawn = _split(usable, rows, lacking, near, seed)
            except ShedError as error:  # told when the rejects have been written
                off, drawn, unsplit = {name: SplitOff([], 0, 0.0) for name in lacking}, usable, error
            kept |= {name: own.records for name, own in off.items()}
        else:
            drawn = _draw(usable, rows, random.Random(f"{seed}/{split}"))
        if len(drawn) < len(usable):
            chosen = {record.id for records in (drawn, *(own.records for own in off.values())) for record in records}
            rejects += [Reject(record, split, "not_drawn") for record in usable if record.id not in chosen]
        if split != "pool":
            for record in drawn:
                elsewhere.add(record, split, questions_of(record))
        kept[split] = drawn
    return PreparedData(**kept, rejects=rejects, off_pool=off, unsplit=unsplit)


def _usable(
    rows: Iterable[Record | BadRecord],
    split: str,
    elsewhere: Elsewhere,
    near: float | None,
    unfit: Callable[[Record], str | None],
    rejects: list[Reject],
) -> Iterator[Record]:
    exact: set[str] = set()
    equal: set[bytes] = set()
    like = NearIndex(near, said) if near is not None and split == "pool" else None
    for record in rows:
        if isinstance(record, BadRecord):
            rejects.append(Reject(record, split, record.reason))
            continue
        name, key = record.id, content_key(record)
        if reason := _unusable(record):
            rejects.append(Reject(record, split, reason))
        elif why := unfit(record):
            rejects.append(Reject(record, split, f"{UNFIT} {why}"))
        elif name in exact:
            rejects.append(Reject(record, split, "exact_duplicate"))
        elif key in equal:
            rejects.append(Reject(record, split, "normalised_duplicate"))
        elif found := elsewhere.repeated(record, split, questions_of(record)):
            rejects.append(Reject(record, split, found.reason, found.of, found.similarity))
        elif like is not None and (hit := like.nearest(own := sketch(said(record)))):
            rejects.append(Reject(record, split, "near_duplicate", hit.of, hit.similarity))
        else:
            exact.add(name)
            equal.add(key)
            if like is not None:
                like.add(name, record, own)
            yield record


def _unusable(record: Record) -> str | None:
    if not record.response.strip():
        return "empty_response"
    if not record.prompt.strip():
        return "empty_prompt"
    choices = [choice.strip() for choice in record.choices]
    if not all(choices):
        return "empty_choice"
    return "equal_choices" if len(set(choices)) < len(choices) else None


def _split(
    usable: list[Record], pool_rows: int | None, lacking: Mapping[str, int | None], near: float | None, seed: int
) -> tuple[dict[str, SplitOff], list[Record]]:
    """The splits that are split off, and what is drawn of the rest.

    As many records as are needed in all are drawn first, so that what is split off is of the same sources as the pool.
    """
    wanted = sizes(len(usable), lacking)
    needed = None if pool_rows is None else pool_rows + sum(wanted.values())
    drawn = _draw(usable, needed, random.Random(f"{seed}/pool"))
    off = split_off(drawn, wanted, near, seed)
    moved = {record.id for own in off.values() for record in own.records}
    left = [record for record in drawn if record.id not in moved]
    return off, _draw(left, pool_rows, random.Random(f"{seed}/pool"))


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
