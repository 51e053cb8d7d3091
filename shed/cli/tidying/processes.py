"""Which processes of DVC work in a project, and which have left their notes behind.

In: a project's .dvc/tmp. Out: process ids, and whether they run.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def runs(pid: int) -> bool:
    """True if there is a process of this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def experiment_folders(temporary: Path) -> list[Path]:
    """The copies of the project in which `dvc exp run --temp` and the queue work."""
    return sorted({one.parent for pattern in ("exps/*/.dvc", "exps/standalone/*/.dvc") for one in temporary.glob(pattern)})


def notes(temporary: Path) -> list[Path]:
    """The files in which DVC notes who reads and writes what: the project's, and those of experiments in copies of it."""
    places = (temporary, temporary / "exps", *(one / ".dvc" / "tmp" for one in experiment_folders(temporary)))
    return [place / "rwlock" for place in places if (place / "rwlock").is_file()]


def at_work(temporary: Path) -> dict[int, str]:
    """The processes of DVC that run here, by id, each with what it does."""
    found = {pid: does for file in notes(temporary) for pid, does in holders(file).items() if runs(pid)}
    lock = temporary / "lock"  # of the system; the file stays when its process has ended, and does no harm
    if lock.is_file():
        holder = lock.read_text(encoding="utf-8", errors="replace").strip()
        if holder.isdigit() and runs(int(holder)):
            found.setdefault(int(holder), "dvc")
    return found


def holders(file: Path) -> dict[int, str]:
    """The process ids in a file of notes, each with its command; empty where the file cannot be read."""
    written = read_notes(file) or {}
    return {int(entry["pid"]): str(entry["cmd"]) for entry in _entries(written)}


def read_notes(file: Path) -> dict[str, Any] | None:
    """What DVC noted; None if the file was cut off."""
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return written if isinstance(written, dict) else None


def without_the_dead(written: dict[str, Any]) -> dict[str, Any]:
    """Notes of processes that run, alone."""
    writers = {path: entry for path, entry in written.get("write", {}).items() if runs(int(entry["pid"]))}
    readers = {
        path: [entry for entry in entries if runs(int(entry["pid"]))] for path, entries in written.get("read", {}).items()
    }
    return {"write": writers, "read": {path: entries for path, entries in readers.items() if entries}}


def working_in(folder: Path) -> bool:
    """True if a process has its working folder there, as far as the system tells (Linux does)."""
    inside = folder.resolve()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink().is_relative_to(inside):
                return True
        except OSError:  # it has ended, or is another user's
            continue
    return False


def _entries(written: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from written.get("write", {}).values()
    for entries in written.get("read", {}).values():
        yield from entries
