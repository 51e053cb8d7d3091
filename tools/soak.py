"""The stories of kills and damage, told many times: what holds them, and how often it held.

In: how many times as often as in `make test`, and which files of stories; without names all. Out: benchmarks/soak.json, which
keeps of each file its last run in which no story failed, and docs/reliability.md after `make docs`. Run it by
`python -m tools.soak --times N [FILE …]`; all take N times some minutes. It ends with status 1 if a story failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shed.common.atomic_io import read_json, write_json
from shed.common.import_closure import ROOT

RESULT = ROOT / "benchmarks/soak.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.soak", description="Tell the stories of kills and damage many times."
    )
    known = suites()
    parser.add_argument("files", nargs="*", choices=[*known, []], metavar="FILE", help=f"of {', '.join(known)} (default: all)")
    parser.add_argument("--times", type=int, default=30, help="how many times as often as in `make test` (default: 30)")
    asked = parser.parse_args()
    failed = [file for file in asked.files or known if not _told(file, asked.times)]
    if failed:
        sys.exit(f"a story failed in {', '.join(failed)}; benchmarks/soak.json has its last good run, if there was one")


def suites() -> list[str]:
    """The tests that count what they do."""
    found = (path for path in (ROOT / "tests").rglob("test_*.py") if "soaking import" in path.read_text())
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def _told(file: str, times: int) -> bool:
    """Whether no story of a file failed; if so, it is kept with the commit that it was told of."""
    began, commit = time.monotonic(), _commit()
    with TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.tsv"
        environment = os.environ | {"SHED_SOAK": str(times), "SHED_SOAK_COUNTS": str(counts)}
        command = [sys.executable, "-m", "pytest", file]
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            return False
        done: Counter[str] = Counter()
        for line in counts.read_text(encoding="utf-8").splitlines() if counts.exists() else ():
            count, what = line.split("\t")
            done[what] += int(count)
    own = {"times": times, "minutes": (time.monotonic() - began) / 60, "commit": commit, "done": dict(sorted(done.items()))}
    kept: dict[str, Any] = read_json(RESULT) if RESULT.exists() else {}
    write_json(RESULT, dict(sorted({**{name: one for name, one in kept.items() if name in suites()}, file: own}.items())))
    return True


def _commit() -> str:
    """The commit that is told of; with + if code that git knows differs from it."""

    def git(*arguments: str) -> str:
        command = [shutil.which("git") or "git", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(
        git("status", "--porcelain", "--untracked-files=no", "--", "shed", "stages", "tests")
    )


if __name__ == "__main__":
    main()
