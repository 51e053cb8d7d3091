"""Which runs are made, in which order.

In: names of dev sets and methods, shares and seeds, each in the order in which they matter. Out: cells, each a run that is
tuned and evaluated once. Rows that no dev set plays a part in are tuned on once for all dev sets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.realistic.splits import DEV_SETS
from shed.common.errors import ShedError
from shed.selection.contenders import method_of

OF_POOL = ("random", "longest", "k_centre", "distinct", "ifd", "full")  # they know of no dev
METHODS = ("random", "top", "in_run", "longest", "rds", "top_by_length", "top_per_token", "bm25", "cosine", "qocs", "full")
SHARES = (0.1, 0.05, 0.3)
FULL = "full"


@dataclass(frozen=True)
class Cell:
    """A run.

    Attributes:
        dev: the dev set that its rows were selected for; empty where that plays no part.
        share: of the pool.
    """

    dev: str
    method: str
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Its own, also of its files."""
        return f"{self.dev or 'any'}.{self.method}-{self.share:g}-{self.seed}"


def of_dev(method: str, dev: str) -> str:
    """The dev set as far as a method knows of it."""
    own = method_of(method)
    return "" if own.takes in OF_POOL and not own.on else dev


def cells(devs: Sequence[str], methods: Sequence[str], shares: Sequence[float], seeds: Iterable[int]) -> list[Cell]:
    """The runs: by share, then by dev set, then by method, so that methods are finished one after the other.

    The whole pool has a share of its own, and comes last.

    Args:
        devs: names of `DEV_SETS`.
        methods: as `shed.selection.contenders.contend` takes them, or names of files.

    Raises:
        ShedError: there is no such dev set, a share is not above 0 and below 1, or a name stands twice.
    """
    for names in (devs, methods, shares):
        if len(set(names)) < len(names) or not names:
            raise ShedError(f"{', '.join(map(str, names)) or 'nothing'}: give one name or more, and each once")
    if wrong := [dev for dev in devs if dev not in DEV_SETS]:
        raise ShedError(f"no dev set is called {wrong[0]}; there are {', '.join(DEV_SETS)}")
    if not all(0 < share < 1 for share in shares):
        raise ShedError("a share is above 0 and below 1; the whole pool is the method full")
    numbers = list(seeds)
    found = [
        Cell(of_dev(method, dev), method, share, seed)
        for share in shares
        for dev in devs
        for method in methods
        if method != FULL
        for seed in numbers
    ]
    found += [Cell("", FULL, 1.0, seed) for seed in numbers if FULL in methods]
    return list(dict.fromkeys(found))
