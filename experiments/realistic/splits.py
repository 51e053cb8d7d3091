"""Pool, dev and test of the study: disjoint, drawn by a seed, of rows that the context holds whole.

In: each source's records. Out: `Splits`. No prompt stands in it twice.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.realistic.sources import QUESTIONS
from shed.common.errors import ShedError
from shed.data.duplicates import prompt_key
from shed.data.records import Record

DEV_SETS = {"mixture": ("gsm8k", "code", "english"), "gsm8k": ("gsm8k",), "english": ("english",)}
OF_DEV = tuple(dict.fromkeys(source for sources in DEV_SETS.values() for source in sources))
LEAST_TIMES = 4  # a source with fewer rows than this many times those that are tested on is in the pool alone


@dataclass(frozen=True)
class Sizes:
    """How many rows: of the pool in all, of each dev source that a selection may go by, that are measured of each source of dev
    and of test, and that answers are written to."""

    pool: int
    rated: int
    items: int
    questions: int


@dataclass(frozen=True)
class Splits:
    """Records.

    Attributes:
        pool: what is selected from.
        rated: of each source of dev what selections go by.
        dev: what is measured of dev, other rows.
        test: what is measured of all sources that are large enough.
        questions: what answers are written to.
    """

    pool: list[Record]
    rated: Mapping[str, list[Record]]
    dev: list[Record]
    test: list[Record]
    questions: list[Record]

    def rated_for(self, dev: str) -> list[Record]:
        """What selections for a dev set go by: as many rows for each set, in equal parts of its sources."""
        sources = DEV_SETS[dev]
        share = min(map(len, self.rated.values())) // len(sources)
        return [record for source in sources for record in self.rated[source][:share]]

    def counts(self) -> dict[str, dict[str, int]]:
        """The rows of each source in pool, dev and test."""
        named = {"pool": self.pool, "dev": self.dev, "test": self.test}
        return {name: dict(sorted(Counter(one.source for one in own).items())) for name, own in named.items()}


def split(sources: Mapping[str, Sequence[Record]], sizes: Sizes, seed: int, fits: Callable[[Record], bool]) -> Splits:
    """Draw them: first what is held out, then the pool, as evenly over sources as these allow.

    Args:
        sources: each source's records by its name; `questions` are no part of the pool.
        fits: whether the context holds a record whole; others are left out.

    Raises:
        ShedError: a source of dev is not there, or has too few rows, or nothing is left for the pool.
    """
    if absent := [name for name in OF_DEV if name not in sources]:
        raise ShedError(f"there are no rows of {absent[0]}, which dev sets are made of; there are {', '.join(sources)}")
    seen: set[bytes] = set()
    streams = {name: _stream(rows, random.Random(f"{seed}/{name}"), seen, fits) for name, rows in sources.items()}
    questions = _take(streams.pop(QUESTIONS, iter(())), sizes.questions)
    rated: dict[str, list[Record]] = {}
    dev: list[Record] = []
    test: list[Record] = []
    for name, stream in streams.items():
        if name in OF_DEV:
            held = _take(stream, sizes.rated + sizes.items)
            if len(held) < sizes.rated + sizes.items:
                raise ShedError(
                    f"{name} has {len(held)} rows that the context holds, and dev takes {sizes.rated + sizes.items}; "
                    "ask for fewer, or give more rows"
                )
            rated[name] = held[: sizes.rated]
            dev += held[sizes.rated :]
        if len(sources[name]) >= LEAST_TIMES * sizes.items:
            test += _take(stream, sizes.items)
    pool = _evenly(streams, sizes.pool)
    random.Random(f"{seed}/pool").shuffle(pool)
    if len(pool) < sizes.pool:
        raise ShedError(f"the sources have {len(pool)} rows for the pool, which is to have {sizes.pool}; ask for fewer")
    return Splits(pool, rated, dev, test, questions)


def _stream(rows: Sequence[Record], rng: random.Random, seen: set[bytes], fits: Callable[[Record], bool]) -> Iterator[Record]:
    """The rows in a random order, without those that do not fit or whose prompt was taken."""
    for record in rng.sample(rows, len(rows)):
        key = prompt_key(record)
        if record.response.strip() and record.prompt.strip() and key not in seen and fits(record):
            seen.add(key)
            yield record


def _take(stream: Iterator[Record], count: int) -> list[Record]:
    return [record for _, record in zip(range(count), stream, strict=False)]


def _evenly(streams: Mapping[str, Iterator[Record]], rows: int) -> list[Record]:
    """As many rows of each source, and what one lacks of the others."""
    taken: list[Record] = []
    open_streams = dict(streams)
    while len(taken) < rows and open_streams:
        share, more = divmod(rows - len(taken), len(open_streams))
        for place, (name, stream) in enumerate(list(open_streams.items())):
            wanted = share + (place < more)
            own = _take(stream, wanted)
            taken += own
            if len(own) < wanted:
                del open_streams[name]
    return taken
