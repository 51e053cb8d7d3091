"""`shed compare`: two revisions side by side, the verdict first."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shed.cli.project import find_project
from shed.cli.sharing.differences import Change, Differences, Measured, Row, differences, sentence
from shed.cli.sharing.revisions import find_revision
from shed.cli.sharing.texts import one_line
from shed.cli.terminal import Json, counted, show_result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

EXAMPLES = 5
MOST_VALUE, MOST_TEXT = 60, 200  # characters


def compare(a: str, b: str | None = None, /, *, as_json: Json = False) -> None:
    """Say what differs between two revisions: the verdict, metrics, params, and the rows of the selection.

    Args:
        a: a commit, branch, tag or experiment of DVC.
        b: another one; without it, the workspace.
    """
    root = find_project().root
    found = differences(find_revision(root, a), find_revision(root, b))
    show_result(as_values(found), as_json, lambda console: _draw(found, console))


def as_values(found: Differences) -> dict[str, Any]:
    """Plain values for JSON; every changed number of metrics is in them."""
    return {
        "revisions": [{"name": one.name, "commit": one.commit, "verdict": sentence(one)} for one in (found.old, found.new)],
        "gains": [{name: asdict(own) for name, own in of_one.items()} for of_one in found.gains],
        "metrics": {one.name: [one.old, one.new] for one in found.metrics},
        "params": {one.name: [one.old, one.new] for one in found.params},
        "rows": asdict(found.rows) if found.rows else None,
        "no_rows": found.no_rows,
    }


def shown(value: Any) -> str:
    """A value for a reader; – where there is none."""
    return "–" if value is None else str(value)


def difference(change: Change) -> str:
    """Second less first, of two numbers without intervals."""
    both = (change.old, change.new)
    if not all(isinstance(one, Measured) and one.low is None for one in both):
        return ""
    by = change.new.value - change.old.value
    return f"{by:+,}" if isinstance(by, int) else f"{by:+z.3f}"


def _draw(found: Differences, console: "Console") -> None:
    for one in (found.old, found.new):
        console.print(f"{one.called}: {sentence(one)}")
    console.print()
    if not found.told:
        console.print("The verdict's gains, the tuned model's measures and what was selected are the same.")
    else:
        console.print(_table(found.told, "measure", found))
    console.print("Params are the same." if not found.params else _table(found.params, "param", found))
    if found.rows is None:
        console.print(f"Rows of the selection cannot be compared: {found.no_rows}.")
        return
    rows = found.rows
    if not rows.came and not rows.went:
        console.print(f"The selection has the same {counted(rows.stayed, 'row')}.")
        return
    console.print(f"Of the selection's rows {rows.stayed:,} stayed, {len(rows.came):,} came in, {len(rows.went):,} went out.")
    for title, some in (("Came in", rows.came), ("Went out", rows.went)):
        for row in some[:EXAMPLES]:
            console.print(f"  {title}: {described(row)}", style=None)
        if len(some) > EXAMPLES:
            console.print(f"  {title}: {len(some) - EXAMPLES:,} more; --json lists all")


def described(row: Row) -> str:
    """A row in a line, for a terminal."""
    text = one_line(row.text, MOST_TEXT)
    return f"{row.id} of {one_line(row.source, MOST_VALUE)}, {one_line(row.reason, MOST_VALUE)}" + (f": {text}" if text else "")


def _table(changes: list[Change], first: str, found: Differences) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(first, *(one_line(one.called, MOST_VALUE) for one in (found.old, found.new)), box=SIMPLE_HEAD, pad_edge=False)
    for change in changes:
        old, new = (one_line(shown(value), MOST_VALUE) for value in (change.old, change.new))
        by = difference(change)
        table.add_row(one_line(change.name, MOST_VALUE), old, f"{new} ({by})" if by else new)
    return table
