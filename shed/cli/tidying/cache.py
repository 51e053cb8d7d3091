"""`shed cache`: what is kept, and the removal of what this project no longer uses."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from shed.cli.project import find_project
from shed.cli.terminal import Json, show_result
from shed.cli.tidying.contents import Item, contents
from shed.cli.tidying.findings import shown_size
from shed.common.errors import ShedError

if TYPE_CHECKING:
    from rich.console import Console

USED = {True: "yes", False: "no", None: "not known"}


def cache(
    action: Literal["list", "prune"] = "list",
    /,
    *,
    yes: Annotated[bool, Parameter(negative="")] = False,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    as_json: Json = False,
) -> None:
    """List what is kept in the user's cache folder and in .shed, or remove what this project does not use.

    The cache folder is shared by all projects: another one fetches again what it misses. What the ledgers keep was measured;
    without it, a run measures again.

    Args:
        action: list, or prune to remove.
        yes: prune without a question.
        everything: prune all that was measured, too: evaluations of today's code, and every run.
    """
    kept = list(contents(find_project().root))
    if action == "list":
        if yes or everything:
            raise ShedError("--yes and --all are for `shed cache prune`")
        show_result({"items": [_values(item) for item in kept]}, as_json, lambda console: _draw(kept, console))
        return
    goes = [item for item in kept if item.used is False or (everything and item.costly)]
    removed = _prune(goes, yes, as_json)
    found = {"removed": [_values(item) for item in removed], "bytes": sum(item.bytes for item in removed)}
    show_result(found, as_json, lambda console: console.print(_said(goes, removed)))


def _prune(goes: list[Item], yes: bool, as_json: bool) -> list[Item]:
    if goes and not yes:
        if as_json or not sys.stdin.isatty():
            raise ShedError("nobody is there to be asked: write `shed cache prune --yes`")
        show_result({}, False, lambda console: _draw(goes, console))
        if input("Remove these? [y/N] ").strip().lower() not in {"y", "yes"}:
            return []
    for item in goes:
        try:
            item.remove()
        except OSError as error:
            raise ShedError(f"cannot remove {item.where}: {error.strerror}") from error
    return goes


def _said(goes: list[Item], removed: list[Item]) -> str:
    if not goes:
        return "Nothing to remove: this project uses all that it can know of."
    if not removed:
        return "Nothing was removed."
    return f"Removed {', '.join(item.what for item in removed)}: {shown_size(sum(item.bytes for item in removed))}."


def _values(item: Item) -> dict[str, Any]:
    return {
        "what": item.what,
        "where": str(item.where),
        "bytes": item.bytes,
        "days_since_written": _days(item),
        "used": item.used,
    }


def _days(item: Item) -> int:
    return max(0, int((time.time() - item.written) // 86400))


def _draw(kept: list[Item], console: "Console") -> None:
    from rich.table import Table

    if not kept:
        console.print("Nothing is kept.")
        return
    table = Table("what", "used here", box=None, pad_edge=False)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for item in kept:
        age = f"{_days(item)} days" if _days(item) != 1 else "1 day"
        table.add_row(item.what, USED[item.used], shown_size(item.bytes), age)
    console.print(table)
    console.print(
        f"{shown_size(sum(item.bytes for item in kept))} in {', '.join(sorted({str(item.where.parent) for item in kept}))}"
    )
