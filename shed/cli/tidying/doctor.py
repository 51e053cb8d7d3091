"""`shed doctor`: what is wrong here, where, and what to do; with --fix, mended where nothing can be lost.

In: a project's folder. Out: findings. What is normal, as stages that a stopped run has left to the next one, is said plainly.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from shed.cli.project import find_project
from shed.cli.sharing.texts import one_line
from shed.cli.terminal import Json, show_result
from shed.cli.tidying.environment import find_faults
from shed.cli.tidying.experiments import find_leftovers
from shed.cli.tidying.findings import Finding
from shed.cli.tidying.ignored import find_not_ignored
from shed.cli.tidying.pipeline import find_state
from shed.cli.tidying.revisions import find_newer_revisions
from shed.cli.tidying.unfinished import find_unfinished
from shed.common.errors import ShedError
from shed.params import load_params

if TYPE_CHECKING:
    from rich.console import Console

CHECKS: dict[str, Callable[[Path], Iterator[Finding]]] = {
    "Python, packages, PATH and disk": find_faults,
    "what stopped runs of DVC left": find_leftovers,
    "files that were not finished": find_unfinished,
    "what git ignores": find_not_ignored,
    "params.yaml": lambda root: _of_params(root),
    "dvc.lock": find_state,
    "models of the Hub": find_newer_revisions,
}
MOST = 300  # characters of a line


@dataclass(frozen=True)
class Seen:
    """A finding, and whether it was mended; `failed` says why not."""

    finding: Finding
    mended: bool = False
    failed: str = ""


def doctor(
    *,
    fix: Annotated[bool, Parameter(negative="", help="Mend what can be mended without losing anything.")] = False,
    as_json: Json = False,
) -> None:
    """Look for what is wrong here: the environment, what stopped runs left behind, params and dvc.lock.

    It ends with status 1 where something is wrong. What a stopped run has left to the next one is a note.
    """
    root = find_project().root
    seen = [_mended(one) if fix else Seen(one) for check in CHECKS.values() for one in _found(check, root)]
    found: dict[str, Any] = {
        "looked_at": list(CHECKS),
        "findings": [
            {
                "what": one.finding.what,
                "where": one.finding.where,
                "do": one.finding.do,
                "can_be_mended": one.finding.mend is not None,
                "mended": one.mended,
                "failed": one.failed,
                "wrong": one.finding.wrong,
            }
            for one in seen
        ],
    }
    show_result(found, as_json, lambda console: _draw(seen, console))
    if any(one.finding.wrong and not one.mended for one in seen):
        sys.exit(1)


def _found(check: Callable[[Path], Iterator[Finding]], root: Path) -> Iterator[Finding]:
    try:
        yield from check(root)
    except ShedError as error:  # it cannot look, which is wrong, too
        yield Finding(str(error), str(root), "mend that, and ask again")


def _mended(finding: Finding) -> Seen:
    if finding.mend is None:
        return Seen(finding)
    try:
        finding.mend()
    except (OSError, ShedError) as error:
        return Seen(finding, failed=str(error))
    return Seen(finding, mended=True)


def _draw(seen: list[Seen], console: "Console") -> None:
    if not any(one.finding.wrong or one.mended for one in seen):
        console.print(f"All is well: {', '.join(CHECKS)}.")
    for one in seen:
        finding = one.finding
        kind = "mended" if one.mended else "wrong" if finding.wrong else "note"
        console.print(f"{kind}: {one_line(finding.what, MOST)}")
        console.print(f"  where: {one_line(finding.where, MOST)}")
        if not one.mended:
            console.print(f"  do: {one_line(finding.do, MOST)}")
        if one.failed:
            console.print(f"  not mended: {one_line(one.failed, MOST)}")
    mendable = sum(one.finding.mend is not None and not one.mended for one in seen)
    wrong = any(one.finding.wrong for one in seen)
    if mendable and wrong and not any(one.mended or one.failed for one in seen):
        console.print(f"`shed doctor --fix` mends {mendable} of {len(seen)}.")


def _of_params(root: Path) -> Iterator[Finding]:
    from shed.tuning.tracking import check_installed

    try:
        check_installed(load_params(root / "params.yaml").tracking.report_to)
    except ShedError as error:
        do = f"change it there{', or install them' if error.setting == 'trackers' else ''}"
        key = " (tracking.report_to)" if error.setting == "trackers" else ""
        yield Finding(f"{error}{key}", str(root / "params.yaml"), do)
