"""Progress with speed and time left for anything that may take over five seconds; silent unless stderr is a terminal.

In: an iterable and its name. Out: its items, while a bar shows how many are done.
"""

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


def track(items: Iterable[T], what: str, unit: str = "it", total: int | None = None) -> Iterator[T]:
    """Yield `items` while a bar on stderr shows how many are done, how fast, and how long is left.

    With TQDM_DISABLE in the environment there is none, as with the libraries' own bars.
    """
    off = True if os.environ.get("TQDM_DISABLE") else None
    return iter(tqdm(items, desc=what, unit=unit, total=total, disable=off, dynamic_ncols=True))
