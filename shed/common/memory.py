"""Memory that the C library keeps.

In: nothing. Out: free memory, given back to the system.
"""

import ctypes

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


def give_back() -> None:
    """Give memory that is free back to the system.

    glibc keeps what large tensors of changing sizes leave behind, for each thread, which on long records comes to more than all
    that is in use. Other C libraries are left alone.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
