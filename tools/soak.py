"""The stories of kills and damage, told many times: what holds them, and how often it held.

In: how many times as often as in `make test`. Out: benchmarks/soak.json, and docs/reliability.md after `make docs`. Run it by
`python -m tools.soak --times N`; it takes N times some minutes, and ends with status 1 if a story failed.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from shed.common.atomic_io import write_json
from shed.common.import_closure import ROOT

RESULT = ROOT / "benchmarks/soak.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.soak", description="Tell the stories of kills and damage many times."
    )
    parser.add_argument("--times", type=int, default=30, help="how many times as often as in `make test` (default: 30)")
    asked = parser.parse_args().times
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.tsv"
        environment = os.environ | {"SHED_SOAK": str(asked), "SHED_SOAK_COUNTS": str(counts)}
        status = subprocess.run([sys.executable, "-m", "pytest", *suites()], cwd=ROOT, env=environment, check=False).returncode
        done: Counter[str] = Counter()
        for line in counts.read_text(encoding="utf-8").splitlines() if counts.exists() else ():
            count, what = line.split("\t")
            done[what] += int(count)
    if status:
        sys.exit("a story failed; benchmarks/soak.json stays as it was")
    write_json(RESULT, {"times": asked, "minutes": (time.monotonic() - began) / 60, "done": dict(sorted(done.items()))})


def suites() -> list[str]:
    """The tests that count what they do."""
    return sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py") if "soaking import" in path.read_text()
    )


if __name__ == "__main__":
    main()
