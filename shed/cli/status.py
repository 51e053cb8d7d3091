"""What DVC says of a project: which stages are not as its lock file has them, and what of each has changed.

In: the folder of a pipeline. Out: what `dvc status` says, by stage. While a run goes on, `dvc status` refuses, since a stage
writes files that it reads; what it would say can be read nevertheless.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError

BUSY = ("is busy", "Unable to acquire lock")  # what DVC says of a file that a run reads or writes, and of all of them
RUNNING = "a run is going on in this project; wait until it has ended, or stop it"


class RunGoesOn(ShedError):
    """DVC does not say what has changed, since a run is going on."""


class UnreadableLock(ShedError):
    """DVC cannot read its lock file: a run was killed while DVC wrote it, in place."""


def check_lock(root: Path) -> None:
    """Refuse a dvc.lock that DVC cannot read; nothing else of the project is looked at.

    Raises:
        UnreadableLock: it cannot.
    """
    from dvc.exceptions import DvcException  # type: ignore[import-untyped]
    from dvc.repo import Repo  # type: ignore[import-untyped]

    try:
        with Repo(str(root)) as repo:
            repo.index.check_graph()
    except DvcException as error:
        if "dvc.lock" in str(error):
            raise _unreadable(root) from error


def _unreadable(root: Path) -> UnreadableLock:
    return UnreadableLock(f"DVC cannot read {root / 'dvc.lock'}; `shed doctor` says what to do")


def dvc_status(root: Path) -> dict[str, Any]:
    """For each stage that is not current, by its name, what has changed.

    Raises:
        RunGoesOn: a run is going on.
        UnreadableLock: DVC cannot read dvc.lock.
        ShedError: DVC cannot read the project.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json", "dvc.yaml"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        if any(busy in line for line in lines for busy in BUSY):
            raise RunGoesOn(RUNNING) from error
        reason = next((line for line in lines if not line.startswith("WARNING")), "it does not say why")
        if "dvc.lock" in reason:
            raise _unreadable(root) from error
        raise ShedError(f"dvc status fails in {root}: {reason}") from error
    return found


def status_during_a_run(root: Path) -> dict[str, Any]:
    """The same while a run goes on: a stage that is not finished is as it was before it began.

    Nothing of the project is written: a status is read, and only DVC's locks stand in its way. They keep readers from files
    that are half-written; the stages of `shed` replace each file as a whole.

    Raises:
        ShedError: DVC cannot read the project.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockNoop  # type: ignore[import-untyped]
    from dvc.repo import Repo

    try:
        with _without_locks(), Repo(str(root)) as repo:
            repo.lock = LockNoop()
            found: dict[str, Any] = repo.status(targets=[str(root / "dvc.yaml")])
    except (DvcException, OSError) as error:
        raise ShedError(f"{RUNNING} ({' '.join(str(error).split())})") from error
    return {_name(stage): changes for stage, changes in found.items()}


def _name(stage: str) -> str:
    """As `dvc status dvc.yaml` has it, without the path of its file."""
    return stage.rpartition(":")[2]


@contextmanager
def _without_locks() -> Iterator[None]:
    """In this block DVC asks nobody whether it may read a file."""
    import dvc.rwlock  # type: ignore[import-untyped]

    own = dvc.rwlock.rwlock
    dvc.rwlock.rwlock = lambda *about: nullcontext()
    try:
        yield
    finally:
        dvc.rwlock.rwlock = own
