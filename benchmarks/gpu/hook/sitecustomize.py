"""What a stage took, written as its process ends: seconds, memory of the process, and of the device as torch counts it.

In: the variable SHED_PROOF_MEASURES, the file to write, in a process that was started as `shed stage NAME`. Out: that file.
Python imports a module of this name by itself as it starts. A process that is killed writes nothing.
"""

import atexit
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()


def measures() -> dict[str, Any]:
    """Seconds of this process, its peak memory in bytes, and the peak of its GPU, if torch has used one."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    peak = own.ru_maxrss if sys.platform == "darwin" else 1024 * own.ru_maxrss
    return {
        "seconds": time.monotonic() - BEGAN,
        "processor_seconds": own.ru_utime + own.ru_stime,
        "peak_bytes": peak,
        "gpu": _gpu(sys.modules.get("torch")),
    }


def _gpu(torch: Any) -> dict[str, Any] | None:
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return {"allocated_bytes": torch.cuda.max_memory_allocated(), "reserved_bytes": torch.cuda.max_memory_reserved()}


def _write(path: Path) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(measures()), encoding="utf-8")
    temporary.replace(path)


if (_path := os.environ.get("SHED_PROOF_MEASURES")) and sys.orig_argv[-2:-1] == ["stage"]:
    atexit.register(_write, Path(_path))
