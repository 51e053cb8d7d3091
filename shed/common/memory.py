"""Memory of this process, and what of it the C library keeps.

In: nothing. Out: how much there is; free memory, given back to the system.
"""

import ctypes
import resource
from pathlib import Path

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


def resident() -> int:
    """Bytes of this process that are in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def give_back() -> None:
    """Give memory that is free back to the system.

    glibc keeps what large tensors of changing sizes leave behind, for each thread, which on long records comes to more than all
    that is in use. Other C libraries are left alone.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
