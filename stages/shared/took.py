"""How long work took on this machine, kept beside the ledgers.

In: seconds of a stage. Out: the last of each. They are no metrics: a rerun that changes nothing would change them.
"""

import os
import sys
from pathlib import Path

from shed.common.atomic_io import read_json, write_json

TOOK = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "seconds.json"  # DVC_ROOT: shared by experiments in copies


def keep_seconds(stage: str, seconds: float) -> None:
    """Keep them, and tell them."""
    write_json(TOOK, seconds_kept() | {stage: seconds})
    print(f"shed: {stage} has worked for {seconds:.0f} s", file=sys.stderr)


def seconds_kept() -> dict[str, float]:
    """By stage; of one that did not run on this machine nothing is known."""
    return {name: float(own) for name, own in read_json(TOOK).items()} if TOOK.is_file() else {}
