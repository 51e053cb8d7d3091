"""Memory of this process and of its device, and what of it the C library keeps.

In: a device, or nothing. Out: how much there is; free memory, given back to the system.
"""

import ctypes
import resource
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


def resident() -> int:
    """Bytes of this process that are in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def free_memory(device: "torch.device") -> int:
    """Bytes that are free on a device; on a processor those that the system could give. Half of a terabyte where it does not
    say.
    """
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 2**39


def give_back() -> None:
    """Give memory that is free back to the system.

    glibc keeps what large tensors of changing sizes leave behind, for each thread, which on long records comes to more than all
    that is in use. Other C libraries are left alone.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
