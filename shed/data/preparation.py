"""From raw splits to a pool, a dev set and a test set that share no record, with every row that is set aside accounted for.

In: the records of three splits, dev and test if there are any, and rows that could not be read. Out: a `PreparedData` with what
was kept, what was set aside and why, and the data card. Where there is no dev or no test, it is split off the pool.

Records are kept in memory, or in temporary files, so that of each row of a large pool its digests alone are in memory.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from sys import intern
from types import MappingProxyType
from typing import Any

from shed.common.errors import ShedError
from shed.data.duplicates import content_key
from shed.data.keeping.spool import Spool, pick
from shed.data.leakage import Elsewhere
from shed.data.near_duplicates import NearIndex, said, sketch
from shed.data.readers import BadRecord
from shed.data.records import Record, from_row
from shed.data.rejects import UNFIT, Reject, Rejects, counts_told, reasons_of, too_many
from shed.data.splitting.drawing import draw
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

    pool: Sequence[Record]
    dev: Sequence[Record]
    test: Sequence[Record]
    rejects: Rejects
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
            kept: Sequence[Record] = getattr(self, split)
            others = [own.records for own in self.off_pool.values() if split == "pool"]
            every = len(kept) + sum(map(len, others)) + self.rejects.reasons(split).total()
            if self.rejects.unusable(split) > max_rejects * every:
                raise too_many(split, chain(kept, *others), every, self.rejects, max_rejects)
            if split == "pool" and self.unsplit is not None:
                raise self.unsplit
            least = 2 if split == "pool" else 1
            if len(kept) < least:
                told = reasons_of(self.rejects.of(split))
                raise ShedError(
                    f"the {split} has {len(kept)} usable records and needs {least}; set aside: {told}",
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
        return counts_told(split, len(getattr(self, split)), self.rejects.reasons(split), self._moved(split))

    def _moved(self, split: str) -> dict[str, int]:
        """How many records of a split were split off for others."""
        return {other: len(own.records) for other, own in self.off_pool.items() if split == "pool" and own.records}

    def _card_of(self, split: str, licences: Mapping[str, str], forms: Mapping[str, int] | None) -> dict[str, Any]:
        kept: Sequence[Record] = getattr(self, split)
        rejected, moved = self.rejects.reasons(split), self._moved(split)
        sources: Counter[str] = Counter()
        counts = dict.fromkeys(("turns", "trained_turns", "records_with_tools"), 0)
        prompt_words, response_words, longest = 0, 0, 0
        for record in kept:
            sources[record.source] += 1
            counts["turns"] += len(record.messages)
            counts["trained_turns"] += sum(turn.trained for turn in record.messages)
            counts["records_with_tools"] += bool(record.tools)
            prompt_words += len(record.prompt.split())
            words = len(record.response.split())
            response_words, longest = response_words + words, max(longest, words)
        return {
            "in": len(kept) + sum(moved.values()) + rejected.total(),
            "kept": len(kept),
            **({"split_off": moved} if moved else {}),
            **({"split_off_from": "pool"} if split in self.off_pool else {}),
            "rejected": rejected.total(),
            "rejected_by_reason": dict(sorted(rejected.items())),
            "kept_by_source": dict(sorted(sources.items())),
            "licences": {**licences, **{source: OWN_LICENCE for source in sorted(sources) if source not in licences}},
            **({"forms": dict(sorted(forms.items()))} if forms else {}),
            **counts,
            "prompt_words_mean": prompt_words / len(kept) if kept else 0.0,
            "response_words_mean": response_words / len(kept) if kept else 0.0,
            "response_words_max": longest,
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
    folder: Path | None = None,
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
        folder: where there are files without names for records and rejects, which go with the result; None: all are in memory.

    Raises:
        ShedError: there is no room in the folder.
    """
    rejects = Rejects(folder)
    elsewhere = Elsewhere(near)
    for name, texts in tasks.items():
        for n, text in enumerate(texts, start=1):
            elsewhere.add_task(name, n, text)
    kept: dict[str, Sequence[Record]] = {}
    lacking: dict[str, int | None] = {}
    off: dict[str, SplitOff] = {}
    unsplit: ShedError | None = None
    for split, rows_in, rows in zip(SPLITS, (dev, test, pool), (dev_rows, test_rows, pool_rows), strict=True):
        if rows_in is None:
            lacking[split] = rows
            continue
        usable: list[Record] | Spool[Record] = [] if folder is None else Spool(folder, from_row)
        sources = _keep_usable(usable, rows_in, split, elsewhere, near, unfit, rejects)
        moved: set[int] = set()
        if split == "pool" and lacking:
            try:
                off, moved, places = _split(usable, sources, rows, lacking, near, seed)
            except ShedError as error:  # told when the rejects have been written
                off, places, unsplit = {name: SplitOff([], 0, 0.0) for name in lacking}, list(range(len(usable))), error
            kept |= {name: own.records for name, own in off.items()}
        else:
            places = draw(sources, range(len(usable)), rows, random.Random(f"{seed}/{split}"))
        for place in sorted(set(range(len(usable))).difference(places, moved)):
            rejects.append(Reject(usable[place], split, "not_drawn"))
        drawn = pick(usable, places)
        if split != "pool":
            for record in drawn:
                elsewhere.add(record, split, questions_of(record))
        kept[split] = drawn
    return PreparedData(**kept, rejects=rejects, off_pool=off, unsplit=unsplit)


def _keep_usable(
    kept: list[Record] | Spool[Record],
    rows: Iterable[Record | BadRecord],
    split: str,
    elsewhere: Elsewhere,
    near: float | None,
    unfit: Callable[[Record], str | None],
    rejects: Rejects,
) -> list[str]:
    """Add what can be used to `kept`, the rest to `rejects`; the source of each that is kept."""
    exact: set[str] = set()
    equal: set[bytes] = set()
    sources: list[str] = []
    like = NearIndex(near, lambda place: said(kept[place])) if near is not None and split == "pool" else None
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
            rejects.append(Reject(record, split, "near_duplicate", kept[hit.place].id, hit.similarity))
        else:
            exact.add(name)
            equal.add(key)
            if like is not None:
                like.add(own)
            kept.append(record)
            sources.append(intern(record.source))
    return sources


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
    usable: list[Record] | Spool[Record],
    sources: Sequence[str],
    pool_rows: int | None,
    lacking: Mapping[str, int | None],
    near: float | None,
    seed: int,
) -> tuple[dict[str, SplitOff], set[int], list[int]]:
    """The splits that are split off, the places of their records, and those of what is drawn of the rest.

    As many records as are needed in all are drawn first, so that what is split off is of the same sources as the pool.
    """
    wanted = sizes(len(usable), lacking)
    needed = None if pool_rows is None else pool_rows + sum(wanted.values())
    drawn = draw(sources, range(len(usable)), needed, random.Random(f"{seed}/pool"))
    off = split_off(pick(usable, drawn), wanted, near, seed)
    moved = {drawn[row] for own in off.values() for row in own.rows}
    left = [place for place in drawn if place not in moved]
    return off, moved, draw(sources, left, pool_rows, random.Random(f"{seed}/pool"))
