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
PIPED_WIDTH = 120  # characters of a line where no terminal says


def counted(count: int, one: str, more: str | None = None) -> str:
    """1 row, 2,000 rows."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


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
    """Standard output. Text is no markup: what a record holds is printed as it is."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)
