"""A part of the pool set apart to define utility, or to measure on, where the user has no records for that.

In: the pool's usable records, and how many are wanted for dev and test. Out: the records of each, drawn in proportion to
sources; records whose prompts are alike stay on one side.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.data.splitting.alike import Alike

NEAR = 0.7  # the similarity from which prompts are alike where the user sets none
SHARE, MOST = 10, 300  # a tenth of the usable records, where the user does not say how many
KEPT = 2  # at least every second usable record stays in the pool
BARRED = 0.1  # the share of the pool from which on it is told that a split has none like it
MOST_MISSED = 1000  # groups in a row that do not fit, after which no other is looked for


@dataclass(frozen=True)
class SplitOff:
    """What was taken for a split.

    Attributes:
        wanted: how many records; it has fewer if no other group is small enough.
        barred: about which share of the pool, 0 to 1, is in groups that are too large for the split: it has none like these.
        rows: which of the pool's records they are.
    """

    records: list[Record]
    wanted: int
    barred: float
    rows: tuple[int, ...] = ()

    @property
    def warning(self) -> str | None:
        """What is wrong if the pool has much that the split has nothing like."""
        if self.barred <= BARRED:
            return None
        return (
            f"about {self.barred:.0%} of the pool's records are in groups of like prompts that are too large to be split off, "
            "so it has none like these; raise the similarity from which prompts are alike, or give records of its own"
        )


def sizes(usable: int, rows: Mapping[str, int | None]) -> dict[str, int]:
    """How many records to split off for each split; None: a tenth of the usable ones, at most 300.

    Raises:
        ShedError: the pool has too few for that.
    """
    wanted = {split: min(MOST, usable // SHARE) if asked is None else asked for split, asked in rows.items()}
    for split, size in wanted.items():
        if not size:
            raise ShedError(
                f"the pool has {_count(usable)}, and needs {SHARE} so that a tenth can be split off for {split}; give a larger "
                f"pool, or records for {split}",
                f"records of {split}",
            )
    total = sum(wanted.values())
    if KEPT * total > usable:
        told = " and ".join(f"{size:,} for {split}" for split, size in wanted.items())
        split = max(wanted, key=lambda name: (rows[name] or 0, wanted[name]))
        raise ShedError(
            f"the pool has {_count(usable)}, and needs {KEPT * total:,} to split off {told}, since at least half of it stays; "
            "lower the number, give a larger pool, or records of their own",
            f"rows of {split}",
        )
    return wanted


def split_off(records: Sequence[Record], wanted: Mapping[str, int], near: float | None, seed: int) -> dict[str, SplitOff]:
    """Records for each split, none in two of them; a group of records whose prompts are alike goes to one side as a whole.

    Groups are drawn at random, each source's share being in proportion to its records. What no group of the shares' sizes can
    fill is filled from any source; where that fails too, a split gets fewer than are wanted.

    Args:
        near: the least Jaccard similarity of prompts that are alike; None: 0.7.

    Raises:
        ShedError: nothing can be taken for a split, since groups of records that are alike are too large.
    """
    alike, sources = Alike(records, near or NEAR, max(wanted.values())), [intern(record.source) for record in records]
    taken: set[int] = set()
    found = {}
    for split, size in wanted.items():
        rng = random.Random(f"{seed}/{split} off the pool")
        chosen, barred = _choose(sources, alike, size, taken, rng)
        taken |= chosen
        rows = tuple(rng.sample(sorted(chosen), len(chosen)))
        found[split] = SplitOff([records[row] for row in rows], size, barred, rows)
        if not rows:
            raise ShedError(
                f"nothing can be split off the pool for {split}: so many prompts are equal, or alike from a similarity of "
                f"{near or NEAR:g} on, that no other group of them has {size:,} records or fewer; raise it, or give records "
                f"for {split}",
                "near-duplicates",
            )
    return found


def told(off_pool: Mapping[str, SplitOff]) -> Iterator[str]:
    """Lines on what is split off, and on what can be measured with it."""
    for split, own in off_pool.items():
        fewer = f"; of {own.wanted:,}, since no other group of like prompts fits in" if len(own.records) < own.wanted else ""
        yield f"{split}: {len(own.records):,} records, split off the pool{fewer}"
    if "test" in off_pool and "dev" not in off_pool:
        yield (
            "test is of the pool's own distribution, and dev is your own: whether the selection helps what dev is of is not "
            "measured on test; give test records of that task"
        )
    elif "test" in off_pool:
        yield "test is of the pool's own distribution: what is gained there says nothing of other tasks"


def _choose(sources: Sequence[str], alike: Alike, size: int, taken: set[int], rng: random.Random) -> tuple[set[int], float]:
    """The rows of a split, and the share of the pool that is barred from it."""
    order = rng.sample(range(len(sources)), len(sources))
    of_source = Counter(sources)
    shares = _shares(of_source, size)
    left, chosen, barred, looked_at = dict(shares), set[int](), Counter[str](), Counter[str]()
    for by_source in (True, False):
        missed = 0
        for row in order:
            if len(chosen) == size or missed == MOST_MISSED:
                break
            if row in taken or row in chosen or (by_source and not left[sources[row]]):
                continue
            group = alike.group(row)
            counts = Counter(sources[member] for member in group or ())
            if by_source:
                looked_at[sources[row]] += 1
                barred[sources[row]] += group is None or any(counts[source] > shares[source] for source in counts)
            if group is not None and row != group[0]:  # it has one place in the order, so that its size does not favour it
                continue
            if group is None:
                missed += 1
            elif len(group) <= size - len(chosen) and all(counts[source] <= left[source] for source in counts if by_source):
                chosen.update(group)
                left = {source: own - counts[source] for source, own in left.items()}
                missed = 0
            else:
                missed += 1
    return chosen, sum(of_source[source] * barred[source] / count for source, count in looked_at.items()) / len(sources)


def _shares(of_source: Mapping[str, int], size: int) -> dict[str, int]:
    """How many of each source make `size`, in proportion; what rounding leaves goes to the largest remainders."""
    every = sum(of_source.values())
    shares = {source: size * own // every for source, own in of_source.items()}
    by_remainder = sorted(of_source, key=lambda source: (-(size * of_source[source] % every), source))
    for source in by_remainder[: size - sum(shares.values())]:
        shares[source] += 1
    return shares


def _count(usable: int) -> str:
    return f"{usable:,} usable {'record' if usable == 1 else 'records'}"
