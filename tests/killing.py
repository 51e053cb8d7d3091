"""Work that is killed before any of its steps."""

import os
import signal
import sys
from collections.abc import Callable

STEPS = ("os.", "shutil.", "tempfile.", "open")  # events of Python's audit hooks: all that changes files


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is killed before its n-th step that may change files; False if it has fewer."""
    child = os.fork()
    if not child:
        left = [moment]

        def count(event: str, about: object) -> None:
            if event.startswith(STEPS):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
