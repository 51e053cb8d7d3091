"""How often a story with a loop is told: as often as is quick in `make test`, and many times that in `make soak`."""

import os
from pathlib import Path

TIMES, COUNTS = "SHED_SOAK", "SHED_SOAK_COUNTS"  # how many times as often; a file that takes what was done


def times(count: int, what: str) -> int:
    """So many times, or many times that; `what` names the case in the counts."""
    count *= int(os.environ.get(TIMES, "1"))
    if where := os.environ.get(COUNTS):
        with Path(where).open("a", encoding="utf-8") as file:
            file.write(f"{count}\t{what}\n")
    return count


def soaks() -> bool:
    """Whether this is `make soak`, which alone tells what takes minutes."""
    return TIMES in os.environ
