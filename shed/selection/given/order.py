"""A selection that was made elsewhere, as rows of this pool.

In: what a file says (`shed.selection.given.files`) and the pool's records. Out: the records that it means, best first, with the
reason for each; then the selected rows.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pandas as pd

from shed.common.errors import ShedError
from shed.data.duplicates import content_key
from shed.data.forms.values import shown
from shed.data.records import Record
from shed.selection.given.files import IDS, Given, name_of
from shed.selection.sampling import COUNTED, Size, nearest_count


@dataclass(frozen=True)
class Order:
    """What a file means in a pool. Of the file's rows each is matched, unmatched or repeated.

    Attributes:
        reasons: by the id of each matched record why it stands where it does, best first.
        unmatched: rows of the file that mean no record of the pool.
        repeated: rows of the file that mean a record once more.
    """

    given: Given
    reasons: Mapping[str, str]
    unmatched: int
    repeated: int

    @property
    def counts(self) -> dict[str, int]:
        """For metrics."""
        return {
            "given_rows": len(self.given.entries),
            "given_matched": len(self.reasons),
            "given_unmatched": self.unmatched,
            "given_repeated": self.repeated,
        }

    def told(self) -> str:
        """How the file was taken, in a line."""
        given = self.given
        what = {
            "ids": "scores by id" if given.scored else "ids",
            "rows": "rows with scores" if given.scored else "rows",
            "numbers": "numbers, one for each record of the prepared pool, taken for their scores in its order",
        }[given.kind]
        column = f" (column {shown(given.scored)})" if given.scored else ""
        return (
            f"{given.path}: {len(given.entries):,} {what}{column}; matched with the pool: {len(self.reasons):,}, "
            f"not in it: {self.unmatched:,}, repeated: {self.repeated:,}"
        )


def order_of(given: Given, pool: Iterable[Record]) -> Order:
    """Match a file with the pool.

    Ids are a record's own, or what `id` and `shed_id` are in its row as the user gave it. Rows are equal where `prepare` would
    call them copies: what is tuned on is the same to the letter (`Record.id`), or else all that is said is the same but for
    case, spacing and Unicode form (`content_key`). Numbers are matched by position, if there are as many as records.

    The order is the file's, or from the highest score down, equal ones in the file's order. What stands twice counts once, at
    its first place in that order.

    Args:
        pool: at least one record; it is gone through once, so that it may be read from its file meanwhile.

    Raises:
        ShedError: nothing is matched, an id is that of two records, or there are more or fewer numbers than records.
    """
    records = iter(pool)
    one = next(records)
    found = {"ids": _by_id, "rows": _by_content, "numbers": _by_position}[given.kind](given, chain([one], records))
    matched = [(row, id) for row, id in enumerate(found) if id is not None]
    if not matched:
        raise ShedError(_none_matched(given, one), "given selection")
    if given.scored is not None:
        matched.sort(key=lambda one: -(given.entries[one[0]].score or 0.0))  # stable
    first: dict[str, int] = {}
    for row, id in matched:
        first.setdefault(id, row)
    reasons = {
        id: f"given, row {row + 1} of {given.path.name}"
        if given.scored is None
        else f"given, scored {rank} of {len(first)}, {given.entries[row].score:.3g}"
        for rank, (id, row) in enumerate(first.items(), start=1)
    }
    return Order(given, reasons, len(found) - len(matched), len(matched) - len(first))


def select_given(order: Order, candidates: pd.DataFrame, scores: pd.DataFrame, size: Size) -> pd.DataFrame:
    """The first rows of the order, until their size is reached; records that are no candidates are passed over.

    Args:
        candidates: `id`, `source`, `cluster`, `response_tokens`, a row for each record that may be selected.
        scores: `cluster`, `score`, a row for each cluster.

    Returns:
        `id`, `source`, `cluster`, `score` (of the cluster), `reason`, as `shed.selection.sampling.select` gives them.

    Raises:
        ShedError: the matched rows are less.
    """
    ids = taken(order, candidates, size)
    pool = candidates.merge(scores[["cluster", "score"]], on="cluster", how="left", validate="many_to_one").set_index("id")
    selection = pool.loc[ids, ["source", "cluster", "score"]].reset_index()
    return selection.assign(reason=[order.reasons[id] for id in ids])


def taken(order: Order, candidates: pd.DataFrame, size: Size) -> list[str]:
    """The ids of the first records of the order, among the candidates (`id`, `response_tokens`), until their size is reached.

    Raises:
        ShedError: the matched records are less.
    """
    table = candidates.set_index("id")
    ids = [id for id in order.reasons if id in table.index]
    costs = size.costs(table.loc[ids])
    if (there := int(costs.sum())) < size.amount:
        what, passed_over = COUNTED[size.unit], len(order.reasons) - len(ids)
        others = f", not to be selected: {passed_over:,}" if passed_over else ""
        raise ShedError(
            f"{order.given.path}: {len(order.reasons):,} of its {len(order.given.entries):,} rows are in the pool (not in it: "
            f"{order.unmatched:,}, repeated: {order.repeated:,}{others}), and {size.amount:,} {what} are to be kept; keep at "
            f"most {there:,} {what}, and set no fraction",
            size.unit,
        )
    return ids[: nearest_count(costs, size.amount)]


def _by_id(given: Given, pool: Iterable[Record]) -> list[str | None]:
    named: dict[str, list[str]] = {entry.id: [] for entry in given.entries if entry.id is not None}
    for record in pool:
        for name in {record.id, *_own_ids(record)} & named.keys():
            named[name].append(record.id)
    found: list[str | None] = []
    for entry in given.entries:
        own = named.get(entry.id or "", [])
        if len(own) > 1:
            raise ShedError(
                f"{given.path}, {entry.place}: {len(own)} records of the pool have the id {shown(entry.id or '')}; give the "
                f"prepared pool's own ids: these records have {own[0]!r} and {own[1]!r}",
                "given selection",
            )
        found.append(own[0] if own else None)
    return found


def _by_content(given: Given, pool: Iterable[Record]) -> list[str | None]:
    rows = [entry.record for entry in given.entries]
    asked, keys = {row.id for row in rows if row is not None}, [None if row is None else content_key(row) for row in rows]
    exact: set[str] = set()
    like: dict[bytes | None, str] = dict.fromkeys(keys, "")
    for record in pool:
        if record.id in asked:
            exact.add(record.id)
        key = content_key(record)
        if like.get(key) == "":  # only a fault that was made on purpose is like another record
            like[key] = record.id
    return [
        None if row is None else row.id if row.id in exact else like[key] or None for row, key in zip(rows, keys, strict=True)
    ]


def _by_position(given: Given, pool: Iterable[Record]) -> list[str | None]:
    ids: list[str | None] = [record.id for record in pool]
    if len(given.entries) != len(ids):
        raise ShedError(
            f"{given.path}: {len(given.entries):,} numbers without ids, and the pool has {len(ids):,} records; numbers are "
            "taken for scores if there is one for each record of the prepared pool, in its order; else give `id` and `score`",
            "given selection",
        )
    return ids


def _own_ids(record: Record) -> set[str]:
    """The ids in the row as the user gave it."""
    try:
        given: Any = json.loads(record.given or "{}")
    except (ValueError, RecursionError):
        return set()
    names = {name_of(given.get(key)) for key in IDS} if isinstance(given, dict) else set()
    return {name for name in names if name is not None}


def _none_matched(given: Given, one: Record) -> str:
    own = sorted(_own_ids(one) - {one.id})
    ours = repr(one.id) + (f", as you gave it {shown(own[0])}" if own else "")
    if given.kind == "ids":
        theirs, todo = shown(given.entries[0].id or ""), "give ids of the prepared pool, or those of your own rows"
    else:
        theirs = next(repr(entry.record.id) for entry in given.entries if entry.record is not None)
        todo = "give the rows as the pool has them, or ids without texts"
    what = f"none of its {len(given.entries):,} {given.kind} is in the pool"
    return f"{given.path}: {what}; the first id of the file is {theirs}, of the pool {ours}; {todo}"
