"""What a killed run of DVC leaves behind: a HEAD without a branch, notes of dead processes, copies of the project.

In: a project's folder. Out: findings. While a process of DVC works here, nothing of its own is called left.
"""

import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from shed.cli.sharing.revisions import git
from shed.cli.tidying.findings import Finding, is_still, shown_size, size
from shed.cli.tidying.processes import (
    at_work,
    experiment_folders,
    holders,
    notes,
    read_notes,
    runs,
    without_the_dead,
    working_in,
)
from shed.common.atomic_io import write_text
from shed.common.errors import ShedError

MOVED = re.compile(r"checkout: moving from (\S+) to \S+")
DIGEST = re.compile(r"[0-9a-f]{40}")
RUNNING = 2  # DVC's status of an experiment; others stay after every run, and do no harm
MARKS = tuple(f"refs/exps/exec/EXEC_{name}" for name in ("BASELINE", "BRANCH", "MERGE"))  # gone when a run ends by itself


def find_leftovers(root: Path) -> Iterator[Finding]:
    """What stopped experiments and runs have left in git and in .dvc/tmp."""
    temporary = _dvc_folder(root) / "tmp"
    busy = at_work(temporary)
    yield from _of_old_lock(temporary)
    if busy:
        return
    yield from _of_head(root)
    yield from _of_notes(temporary)
    yield from _of_experiments(root, temporary)


def _dvc_folder(root: Path) -> Path:
    return next((one / ".dvc" for one in (root, *root.parents) if (one / ".dvc").is_dir()), root / ".dvc")


def _of_head(root: Path) -> Iterator[Finding]:
    """A workspace `dvc exp run` works on a HEAD without a branch and goes back to it; a killed one does not."""
    head = git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if head is None or git(root, "symbolic-ref", "--quiet", "HEAD") is not None or _git_is_amid(root):
        return
    branch, commit = _branch_before(root), head.decode().strip()
    if branch is None:  # a checkout of a robot, which never was on one
        return
    tip = (git(root, "rev-parse", "--verify", f"refs/heads/{branch}") or b"").decode().strip()
    changed = (git(root, "status", "--porcelain", "--untracked-files=no") or b"").decode().splitlines()
    kept = git(root, "for-each-ref", "--contains", commit, "--count=1", "refs/heads", "refs/remotes", "refs/tags")
    safe = tip == commit or (not changed and bool(kept))
    left = f"; it may have left params: `git diff` shows {len(changed)} changed files" if changed else ""
    yield Finding(
        "HEAD is on no branch, as a killed `dvc exp run` leaves it",
        f"{commit[:7]}, before that {branch}",
        f"`git switch {branch}` goes back{left}",
        partial(_switch, root, branch) if safe else None,
    )


def _branch_before(root: Path) -> str | None:
    """The last branch that HEAD was on, by the reflog."""
    for line in (git(root, "reflog", "--format=%gs", "HEAD") or b"").decode("utf-8", "replace").splitlines():
        found = MOVED.match(line)
        if found and not DIGEST.fullmatch(found[1]) and git(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{found[1]}"):
            return found[1]
    return None


def _git_is_amid(root: Path) -> bool:
    """True during a rebase or a bisection, which have no branch until they end."""
    folder = root / (git(root, "rev-parse", "--git-dir") or b".git").decode().strip()
    return any((folder / name).exists() for name in ("rebase-merge", "rebase-apply", "BISECT_LOG"))


def _switch(root: Path, branch: str) -> None:
    """Git carries changed files over, or refuses."""
    if git(root, "switch", "--quiet", branch) is None:
        raise ShedError(f"git cannot switch to {branch}: `git switch {branch}` says why")


def _of_notes(temporary: Path) -> Iterator[Finding]:
    for file in notes(temporary):
        written = read_notes(file)
        if written is None:
            if is_still(file):
                yield Finding("DVC's notes of who writes what were cut off", str(file), "delete the file", file.unlink)
            continue
        dead = {pid: does for pid, does in holders(file).items() if not runs(pid)}
        if dead and file.parent in (temporary, temporary / "exps"):  # those of a copy go with the copy
            told = ", ".join(f"{pid} ({does.rpartition('/')[2]})" for pid, does in dead.items())
            tidy = partial(write_text, file, json.dumps(without_the_dead(written)))
            yield Finding(
                f"DVC's notes name processes that have ended: {told}",
                str(file),
                "nothing: the next run removes them",
                tidy,
                False,
            )


def _of_old_lock(temporary: Path) -> Iterator[Finding]:
    """With `core.hardlink_lock` the file itself is the lock, and says nothing of its process."""
    lock = temporary / "lock"
    if lock.is_file() and is_still(lock):
        text = lock.read_text(encoding="utf-8", errors="replace").strip()
        if text and not text.isdigit():
            yield Finding("DVC's lock is old, and keeps every run waiting", str(lock), "if no `dvc` runs, delete the file")


def _of_experiments(root: Path, temporary: Path) -> Iterator[Finding]:
    for folder in experiment_folders(temporary):
        if not working_in(folder):
            yield Finding(
                f"a stopped experiment's copy of the project, {shown_size(size(folder))}",
                str(folder),
                "delete the folder; the ledger keeps what was measured",
                partial(shutil.rmtree, folder),
            )
    for info in sorted([*temporary.glob("exps/run/*/*.run"), *temporary.glob("exps/standalone/run/*/*.run")]):
        if _is_running(info) and info.parent.is_dir():
            yield Finding(
                "DVC's note of a running experiment, which no process runs",
                str(info.parent),
                "delete the folder",
                partial(shutil.rmtree, info.parent),
            )
    marks = (git(root, "for-each-ref", "--format=%(refname)", *MARKS) or b"").decode().split()
    if marks:
        do = "remove them; the next `dvc exp run` makes its own"
        yield Finding("git marks of a stopped experiment", ", ".join(marks), do, partial(_remove_marks, root, marks))


def _is_running(info: Path) -> bool:
    try:
        return bool(json.loads(info.read_text(encoding="utf-8")).get("status") == RUNNING)
    except (OSError, ValueError):
        return False


def _remove_marks(root: Path, marks: list[str]) -> None:
    for mark in marks:
        git(root, "update-ref", "-d", mark)
