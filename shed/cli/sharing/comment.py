"""`shed comment`: what a pull request does to the selection, as the text of its comment."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from shed.cli.project import find_project
from shed.cli.sharing.compare import EXAMPLES, as_values, difference, shown
from shed.cli.sharing.differences import Change, Differences, Row, differences, sentence
from shed.cli.sharing.lock import changed_stages
from shed.cli.sharing.picture import draw_gains
from shed.cli.sharing.revisions import find_revision, git
from shed.cli.sharing.texts import as_code, as_prose
from shed.cli.terminal import Json, counted, show_result
from shed.common.errors import ShedError

RESULTS = ("dvc.lock", "metrics")
MARKER = "<!-- shed comment -->"  # by which the workflow finds its own comment
HERE = "this branch"
MOST_PARAMS = 40  # that are listed; GitHub takes 65,536 characters
MOST_VALUE, MOST_TEXT = 80, 160  # characters


@dataclass(frozen=True)
class Lock:
    """What is known of dvc.lock.

    Attributes:
        changed_stages: the stages that it is not of.
        unknown: why they are not known, or "".
        uncommitted: it, or a metric, is not as it was committed.
    """

    changed_stages: list[str]
    unknown: str
    uncommitted: bool


def comment(
    base: str = "main",
    /,
    *,
    svg: Annotated[Path | None, Parameter(help="Also draw the verdict's gains into this file.")] = None,
    as_json: Json = False,
) -> None:
    """Write the text of a pull request's comment, in GitHub's Markdown: what the workspace changes against a revision.

    Args:
        base: the branch that the pull request is for, or any commit, tag or experiment of DVC.
    """
    root = find_project().root
    found = differences(find_revision(root, base), find_revision(root, None))
    try:
        stale, unknown = changed_stages(root), ""
    except ShedError as error:
        stale, unknown = [], str(error)
    if svg is not None:
        draw_gains({found.old.name: found.old, HERE: found.new}, svg)
    lock = Lock(stale, unknown, bool(git(root, "status", "--porcelain", "--", *RESULTS)))
    values = as_values(found) | {"lock": {"current": not stale and not unknown, **asdict(lock)}}
    show_result(values, as_json, lambda console: print("\n".join(markdown(found, lock))))


def markdown(found: Differences, lock: Lock) -> Iterator[str]:
    """The lines of the comment."""
    old = as_code(found.old.called, MOST_VALUE)
    yield from (MARKER, "### Is the selection better than random rows?", "")
    yield f"**{HERE.capitalize()}:** {as_prose(sentence(found.new))}"
    yield from ("", f"**{old}:** {as_prose(sentence(found.old))}", "")
    if found.told:
        yield from _table("measure", [(change.name, change) for change in found.told], old, str)
    else:
        yield from ("The verdict's gains, the tuned model's measures and what was selected are the same.", "")
    if found.params:
        listed = [(as_code(change.name, MOST_VALUE), change) for change in found.params[:MOST_PARAMS]]
        yield from _table("param", listed, old, lambda value: as_code(value, MOST_VALUE))
        if len(found.params) > MOST_PARAMS:
            yield from (f"{len(found.params) - MOST_PARAMS} more params changed.", "")
    else:
        yield from ("No param changed.", "")
    yield from _rows(found)
    yield from _of_lock(lock)


def _of_lock(lock: Lock) -> Iterator[str]:
    if lock.unknown:
        yield f"Whether `dvc.lock` is current is not known: {as_code(lock.unknown, 300)}"
    elif lock.changed_stages:
        stages = ", ".join(as_code(stage, MOST_VALUE) for stage in lock.changed_stages)
        yield f"**`dvc.lock` is not current**, so these numbers are not of this code and these params. What changed: {stages}."
        yield "Run `dvc repro`, and commit `dvc.lock` and `metrics`."
    else:
        yield "`dvc.lock` is of this code and these params."
    if lock.uncommitted:
        yield "The numbers are of a run whose `dvc.lock` and `metrics` are not committed yet."


def _table(first: str, changes: list[tuple[str, Change]], old: str, show: Any) -> Iterator[str]:
    differ = [difference(change) for _, change in changes]
    last = [" difference |", " ---: |"] if any(differ) else ["", ""]
    yield f"| {first} | {old} | {HERE} |{last[0]}"
    yield f"| --- | ---: | ---: |{last[1]}"
    for (name, change), by in zip(changes, differ, strict=True):
        cells = [shown(None) if value is None else show(value) for value in (change.old, change.new)]
        yield f"| {name} | {cells[0]} | {cells[1]} |" + (f" {by} |" if any(differ) else "")
    yield ""


def _rows(found: Differences) -> Iterator[str]:
    rows = found.rows
    if rows is None:
        yield from (f"Rows of the selection cannot be compared: {as_code(found.no_rows, 300)}", "")
        return
    if not rows.came and not rows.went:
        yield from (f"The selection has the same {counted(rows.stayed, 'row')}.", "")
        return
    yield f"Of the selection's rows **{rows.stayed:,} stayed, {len(rows.came):,} came in, {len(rows.went):,} went out**."
    yield ""
    for title, some in (("came in", rows.came), ("went out", rows.went)):
        if some:
            first = f"the first {EXAMPLES} of {len(some):,}" if len(some) > EXAMPLES else f"{len(some):,}"
            yield from (f"<details><summary>Rows that {title}: {first}</summary>", "")
            yield from (_example(row) for row in some[:EXAMPLES])
            yield from ("", "</details>", "")


def _example(row: Row) -> str:
    parts = [as_code(row.id, MOST_VALUE), f"of {as_code(row.source, MOST_VALUE)}, {as_code(row.reason, MOST_VALUE)}"]
    return f"- {' '.join(parts)}" + (f": {as_code(row.text, MOST_TEXT)}" if row.text else "")
