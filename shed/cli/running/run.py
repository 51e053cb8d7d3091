"""`shed run`: the pipeline, by DVC, in one live picture.

In: stages and changes of params. Out: what DVC and its stages write, its exit status, and the verdict.
"""

import os
import sys
import time
from contextlib import chdir
from typing import Annotated

from cyclopts import Parameter

from shed.cli.project import Project, find_project
from shed.cli.running.changes import PARAMS, check_changes, naming_changes
from shed.cli.running.kept_text import kept_text
from shed.cli.running.picture import Picture
from shed.cli.running.process import Dvc
from shed.cli.running.stages import order
from shed.cli.sharing.revisions import git
from shed.cli.status import UnreadableLock, check_lock
from shed.cli.terminal import Json, console
from shed.common.atomic_io import write_text
from shed.common.errors import ShedError
from shed.data.formats.yaml_text import parse_yaml
from shed.params import check_files

Changes = Annotated[
    list[str] | None,
    Parameter(name=["-S", "--set"], negative="", help="A change of params, KEY=VALUE, as `dvc exp run -S` takes it."),
]
INTERRUPTED = 130
GOES_ON = "what was finished is kept, and `shed run` goes on from there"


def run(*stages: str, changes: Changes = None, as_json: Json = False) -> None:
    """Run what has changed: the whole pipeline, or some stages and those that they need.

    It is `dvc repro`, and with -S it is `dvc exp run`. Changes by -S stay in params.yaml, whose comments and order are kept.
    The exit status is DVC's. Ctrl-C stops it, and the next `shed run` goes on from there.

    Args:
        stages: the stages to bring up to date; without any, all.
    """
    project = find_project()
    if changes:
        _check_identity(project)
    with chdir(project.root), naming_changes(changes or ()):
        params, text = check_changes(project.root, changes) if changes else (project.params, None)
        check_files(params)
    began = time.monotonic()
    if text is not None:
        own = (project.root / PARAMS).read_text(encoding="utf-8")
        write_text(project.root / PARAMS, kept_text(own, parse_yaml(text, PARAMS, "dvc")))
    arguments = ["exp", "run"] if changes else ["repro"]
    status = _run(project, [*arguments, *stages], stages, as_json)
    verdict = _verdict(project) if status == 0 and (not stages or {"verdict", "report"} & {*stages}) else None
    if as_json:
        import json

        print(json.dumps({"status": status, "seconds": round(time.monotonic() - began, 1), "verdict": verdict}))
    elif verdict:
        console().print(verdict)
    if status:
        _tell_of_lock(project)
        sys.exit(status)


def _tell_of_lock(project: Project) -> None:
    """Where DVC failed since a kill has cut its lock file, what to do: DVC says but the line that it cannot read."""
    try:
        check_lock(project.root)
    except UnreadableLock as error:
        print(f"shed: error: {error}", file=sys.stderr)


def _check_identity(project: Project) -> None:
    """Refuse an experiment where git has no name for who makes it: DVC sets the changed params aside as a commit.

    Raises:
        ShedError: it has none.
    """
    if (project.root / ".git").exists() and not all(git(project.root, "config", f"user.{one}") for one in ("name", "email")):
        raise ShedError(
            "git does not know your name and e-mail address, which DVC needs for an experiment; run "
            "`git config --global user.name NAME` and `git config --global user.email ADDRESS`"
        )


def _run(project: Project, arguments: list[str], stages: tuple[str, ...], as_json: bool) -> int:
    """DVC's exit status, or that of an interrupted command."""
    screen = console()
    live = screen.is_terminal and not screen.is_dumb_terminal and not as_json and "CI" not in os.environ
    dvc = Dvc(arguments, project.root, live, sys.stderr if as_json else None)
    with dvc.interruptible():
        status = _draw(dvc, Picture(order(project.root, stages))) if live else dvc.wait()
    if not dvc.interrupted:
        return status
    if not live:  # else the picture's last line says it
        print(f"shed: interrupted; {GOES_ON}", file=sys.stderr)
    return INTERRUPTED


def _draw(dvc: Dvc, picture: Picture) -> int:
    """Show the picture until DVC ends, with all lines of stages above it; at last a line says what was done."""
    from rich.live import Live

    screen = console()
    with Live(picture, console=screen, refresh_per_second=4, transient=True, redirect_stdout=False, redirect_stderr=False):
        for text in dvc.text():
            picture.stopping = dvc.interrupted
            for line in picture.lines(text):
                screen.print(line, soft_wrap=True)
        for line in picture.lines("\n"):
            screen.print(line, soft_wrap=True)
        status = dvc.wait()
    picture.stopping = dvc.interrupted
    told = picture.end(ok=status == 0 and not dvc.interrupted)
    screen.print(f"{told}; {GOES_ON}" if dvc.interrupted else told, soft_wrap=True)
    return status


def _verdict(project: Project) -> str | None:
    """The sentence of the verdict, if there is one."""
    there = (project.root / "metrics/verdict.json").is_file()
    return str(project.metrics("verdict")["sentence"]) if there else None
