"""How a command's result is shown: drawn for a reader, or as JSON for a program.

In: the result, as plain values, and how it is drawn. Out: standard output; NO_COLOR and pipes are respected.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for a program to read.")]
UNWRAPPED = 10_000  # characters: what reads a pipe finds each text and each row of a table on one line
UNITS = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "hours"), (90, 60, "min"))  # from so many seconds on, in so many


def counted(count: int, one: str, more: str | None = None) -> str:
    """1 row, 2,000 rows."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def about(seconds: float) -> str:
    """A time that is not known well: 25 s, 12 min, 3.5 hours."""
    for least, unit, name in UNITS:
        if seconds >= least:
            return f"{seconds / unit:.{int(unit > 60 and seconds < 10 * unit)}f} {name}"
    return f"{seconds:.0f} s"


def tell(what: str) -> None:
    """What is being done, where nothing else is to be seen for a while; standard output is for the result."""
    print(f"shed: {what}", file=sys.stderr, flush=True)


def show_result(found: Mapping[str, Any], as_json: bool, draw: Callable[[Console], None]) -> None:
    """Print a result.

    Args:
        found: the result as JSON has it.
        draw: prints it for a reader.
    """
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        draw(console())


def console() -> Console:
    """Standard output. Text is no markup: what a record holds is printed as it is. No line is wrapped but for a terminal."""
    width = None if sys.stdout.isatty() else UNWRAPPED
    return Console(width=width, markup=False, highlight=False, emoji=False)
