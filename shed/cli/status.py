"""What DVC says of a project: which stages are not as its lock file has them, and what of each has changed.

In: the folder of a pipeline. Out: what `dvc status` says, by stage.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError

BUSY = "is busy"  # what DVC says of a file that a run reads or writes
RUNNING = "a run is going on in this project; wait until it has ended, or stop it"


def dvc_status(root: Path) -> dict[str, Any]:
    """For each stage that is not current, by its name, what has changed.

    Raises:
        ShedError: a run is going on, or DVC cannot read the project.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json", "dvc.yaml"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        if any(BUSY in line for line in lines):
            raise ShedError(RUNNING) from error
        reason = next((line for line in lines if not line.startswith("WARNING")), "it does not say why")
        raise ShedError(f"dvc status fails in {root}: {reason}") from error
    return found
