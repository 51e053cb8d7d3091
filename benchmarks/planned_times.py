"""How near `shed plan` comes: the time that it tells of each stage, and the time that the stage then takes.

`python -m benchmarks.planned_times NAME FOLDER`, where FOLDER is a project that was never run: one of `shed init`, or a clone
of this one with its `.venv`. The machine should do nothing else. Puts the result into `benchmarks/planned_times.json` under
NAME.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from shed.common.atomic_io import read_json, write_json

RESULTS = Path(__file__).with_suffix(".json")
STARTED = re.compile(r"Running stage '(\w+)':")


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    shed = [sys.executable, "-m", "shed"]
    planned = json.loads(subprocess.run([*shed, "plan", "--json"], cwd=folder, check=True, stdout=subprocess.PIPE).stdout)
    took = measured([*shed, "run"], folder)
    stages = {one["stage"]: compared(one, took[one["stage"]]) for one in planned["stages"] if one["stage"] in took}
    everything = compared(planned["total"], sum(took.values()))
    found = read_json(RESULTS) if RESULTS.exists() else {}
    write_json(RESULTS, found | {name: {"timed": planned["timed"], "stages": stages, "all": everything}})


def measured(command: list[str], folder: Path) -> dict[str, float]:
    """Seconds of each stage."""
    began: dict[str, float] = {}
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := STARTED.match(line):
                began[found[1]] = time.monotonic()
    if process.returncode:
        sys.exit(f"the pipeline has ended with status {process.returncode}")
    times = [*began.values(), time.monotonic()]
    return {name: end - start for name, start, end in zip(began, times, times[1:], strict=False)}


def compared(planned: dict[str, Any], seconds: float) -> dict[str, float]:
    return {"planned": planned["seconds"], "low": planned["low"], "high": planned["high"], "measured": seconds}


if __name__ == "__main__":
    main()
