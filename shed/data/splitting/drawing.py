"""A seeded draw of records, with an equal share from each source.

In: the source of each record. Out: the places of those that are drawn, in a random order.
"""

import random
from collections.abc import Iterable, Sequence


def draw(sources: Sequence[str], places: Iterable[int], rows: int | None, rng: random.Random) -> list[int]:
    """A seeded shuffle of `rows` of the places, as many from each source as an equal share allows.

    What a small source cannot fill goes to the others.

    Args:
        sources: of all records, in their order.
        places: of those that may be drawn.
        rows: None: all of them.
    """
    by_source: dict[str, list[int]] = {}
    for place in places:
        by_source.setdefault(sources[place], []).append(place)
    for group in by_source.values():
        rng.shuffle(group)
    every = sum(map(len, by_source.values()))
    left = every if rows is None else min(rows, every)
    drawn: list[int] = []
    for n, group in enumerate(sorted(by_source.values(), key=len)):
        share = min(len(group), left // (len(by_source) - n))
        drawn += group[:share]
        left -= share
    rng.shuffle(drawn)
    return drawn
