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
from shed.cli.running.changes import check_changes, naming_changes
from shed.cli.running.picture import Picture
from shed.cli.running.process import Dvc
from shed.cli.running.stages import order
from shed.cli.terminal import Json, console
from shed.params import check_files

Changes = Annotated[
    list[str] | None,
    Parameter(name=["-S", "--set"], negative="", help="A change of params, KEY=VALUE, as `dvc exp run -S` takes it."),
]
INTERRUPTED = 130


def run(*stages: str, changes: Changes = None, as_json: Json = False) -> None:
    """Run what has changed: the whole pipeline, or some stages and those that they need.

    It is `dvc repro`, and with -S it is `dvc exp run`, whose changes stay in params.yaml. The exit status is DVC's. Ctrl-C
    stops it, and the next `shed run` goes on from there.

    Args:
        stages: the stages to bring up to date; without any, all.
    """
    project = find_project()
    with chdir(project.root), naming_changes(changes or ()):
        check_files(check_changes(project.root, changes)[0] if changes else project.params)
    began = time.monotonic()
    arguments = ["exp", "run", *(word for one in changes for word in ("-S", one))] if changes else ["repro"]
    status = _run(project, [*arguments, *stages], stages, as_json)
    verdict = _verdict(project) if status == 0 and (not stages or {"verdict", "report"} & {*stages}) else None
    if as_json:
        import json

        print(json.dumps({"status": status, "seconds": round(time.monotonic() - began, 1), "verdict": verdict}))
    elif verdict:
        console().print(verdict)
    if status:
        sys.exit(status)


def _run(project: Project, arguments: list[str], stages: tuple[str, ...], as_json: bool) -> int:
    """DVC's exit status, or that of an interrupted command."""
    screen = console()
    live = screen.is_terminal and not screen.is_dumb_terminal and not as_json and "CI" not in os.environ
    dvc = Dvc(arguments, project.root, live, sys.stderr if as_json else None)
    with dvc.interruptible():
        status = _draw(dvc, Picture(order(project.root, stages))) if live else dvc.wait()
    if not dvc.interrupted:
        return status
    print("shed: interrupted; what was finished is kept, and `shed run` goes on from there", file=sys.stderr)
    return INTERRUPTED


def _draw(dvc: Dvc, picture: Picture) -> int:
    """Show the picture until DVC ends, with all lines that stages print above it."""
    from rich.live import Live

    screen = console()
    with Live(picture, console=screen, refresh_per_second=4, transient=True, redirect_stdout=False, redirect_stderr=False):
        for text in dvc.text():
            for line in picture.lines(text):
                screen.print(line, soft_wrap=True)
        for line in picture.lines("\n"):
            screen.print(line, soft_wrap=True)
        status = dvc.wait()
    screen.print(picture.end(ok=status == 0 and not dvc.interrupted), soft_wrap=True)
    return status


def _verdict(project: Project) -> str | None:
    """The sentence of the verdict, if there is one."""
    there = (project.root / "metrics/verdict.json").is_file()
    return str(project.metrics("verdict")["sentence"]) if there else None
