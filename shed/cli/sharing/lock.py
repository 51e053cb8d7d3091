"""Whether dvc.lock is of this very code and these params.

In: a project's folder. Out: the stages that are not as dvc.lock has them.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from shed.cli.project import read_lock
from shed.cli.status import dvc_status
from shed.common.errors import ShedError

CONFLICT = ("<<<<<<< ", ">>>>>>> ")
MISSING = ("deleted", "not in cache")


def changed_stages(root: Path) -> list[str]:
    """The stages whose code, params, inputs or command have changed since dvc.lock was written, in the pipeline's order.

    What a stage wrote may be missing, as in a fresh clone: that makes it no changed one.

    Raises:
        ShedError: dvc.lock has the marks of a merge, or DVC cannot read the project.
    """
    check_for_conflict(root)
    status = dvc_status(root)
    lock = root / "dvc.lock"
    outs = locked_outs(lock.read_bytes()) if lock.is_file() else {}
    return [stage.rpartition(":")[2] for stage, found in status.items() if any(_counts(one, outs) for one in found)]


def check_for_conflict(root: Path) -> None:
    """Refuse a dvc.lock that git could not merge.

    Raises:
        ShedError: it has git's marks.
    """
    path = root / "dvc.lock"
    if path.is_file() and any(line.startswith(CONFLICT) for line in path.read_text(encoding="utf-8").splitlines()):
        raise ShedError(
            "dvc.lock has the marks of a merge: `git checkout --ours dvc.lock metrics`, `dvc repro`, `git add dvc.lock metrics`"
        )


def locked_outs(text: str | bytes) -> dict[str, str]:
    """What all stages write, as a dvc.lock has it: the MD5 by its path.

    Raises:
        ShedError: it is no dvc.lock.
    """
    stages = read_lock(text).values()
    try:
        return {out["path"]: str(out.get("md5")) for stage in stages for out in stage.get("outs", [])}
    except (AttributeError, LookupError, TypeError) as error:
        raise ShedError(
            "dvc.lock cannot be read; `git diff dvc.lock` may show why; `git checkout dvc.lock` brings back the last one"
        ) from error


def _counts(found: Any, outs: Collection[str]) -> bool:
    """Whether what `dvc status` says of a stage is more than that something is missing."""
    if not isinstance(found, dict):
        return bool(found != "always changed")
    return any(what not in MISSING or path not in outs for changes in found.values() for path, what in changes.items())
