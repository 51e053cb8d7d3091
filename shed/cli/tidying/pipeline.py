"""How far the pipeline has run: which stages the next run has left to do.

In: a project's folder. Out: findings. That stages have not run, or that params have changed since, is normal; a commit whose
dvc.lock is not of its own code and params is wrong, since who takes it gets other results than its metrics say. So is a
dvc.lock that DVC cannot read, as a kill leaves it while DVC writes it: the last commit's can be brought back.
"""

from collections.abc import Iterator
from pathlib import Path

from shed.cli.project import read_lock
from shed.cli.sharing.lock import changed_stages, check_for_conflict
from shed.cli.sharing.revisions import git
from shed.cli.status import RunGoesOn, UnreadableLock
from shed.cli.tidying.findings import Finding
from shed.common.atomic_io import write_text


def find_state(root: Path) -> Iterator[Finding]:
    """What is left to run, if anything was run yet.

    Raises:
        ShedError: dvc.lock has the marks of a merge, or DVC cannot read dvc.yaml.
    """
    lock = root / "dvc.lock"
    if not lock.is_file():
        return
    check_for_conflict(root)
    try:
        changed = changed_stages(root)
    except RunGoesOn:
        yield Finding("a run is going on", str(root), "nothing; `shed plan` tells what it has left", wrong=False)
        return
    except UnreadableLock:
        yield _unreadable(root, lock)
        return
    there = read_lock(lock.read_bytes())
    stale, left = [name for name in changed if name in there], [name for name in changed if name not in there]
    if stale and _is_committed(root):
        what = f"the commit's dvc.lock is not of its code and params; what changed: {', '.join(stale)}"
        yield Finding(what, str(lock), "`shed run`, and commit dvc.lock and metrics")
    elif changed:
        parts = [
            f"have not run yet: {', '.join(left)}" if left else "",
            f"have changed since they ran: {', '.join(stale)}" if stale else "",
        ]
        what = f"stages that {'; '.join(filter(None, parts))}"
        yield Finding(what, str(lock), "`shed run` goes on; `shed plan` tells what it costs", wrong=False)


def _unreadable(root: Path, lock: Path) -> Finding:
    """No stage runs with it. What ran since the commit is known to DVC by its cache of runs, and is not computed again."""
    what = "DVC cannot read dvc.lock, as after a run that was killed while DVC wrote it"
    held = git(root, "show", "HEAD:./dvc.lock")
    if held is None:
        return Finding(what, str(lock), "remove it, and `shed run`: what is in DVC's cache of runs is not computed again")
    return Finding(what, str(lock), "`git checkout dvc.lock`, and `shed run`", mend=lambda: write_text(lock, held.decode()))


def _is_committed(root: Path) -> bool:
    """Whether git holds dvc.lock and all else that it tracks here as they are."""
    held = git(root, "ls-files", "--", "dvc.lock")
    return bool(held) and git(root, "status", "--porcelain", "--untracked-files=no", "--", ".") == b""
