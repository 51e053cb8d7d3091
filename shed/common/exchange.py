"""A new folder in the place of an old one, so that a process may be killed at any moment and one of the two is there.

In: a finished folder and the path that it is for. Out: it is there; what was there before is where the finished one was.

On Linux the two names are exchanged by one call of the system. Other systems, and some network file systems, have no such call.
There the old folder is set aside for the moment between two renames, and `recover` puts it back after a kill in that moment.
"""

import contextlib
import ctypes
import errno
import glob
import os
from functools import cache
from pathlib import Path
from typing import Any

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`

OLD = ".old"  # what the old folder's name ends in while it is set aside
AT_WORKING_FOLDER, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
NOT_THERE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}  # of a system or file system without such a call


def put_in_place(finished: Path, path: Path) -> None:
    """Rename a folder over another one, or to a name that is free. What was there is beside `finished` afterwards.

    Raises:
        OSError: the system refuses; then what was there is there still.
    """
    if not os.path.lexists(path):
        finished.rename(path)
    elif not _exchanged(finished, path):
        aside = finished.with_name(finished.name + OLD)
        path.rename(aside)
        try:
            finished.rename(path)
        except OSError:
            aside.rename(path)
            raise


def recover(path: Path) -> None:
    """Put back what a process set aside that was killed between the two renames, if nothing is at `path`."""
    if os.path.lexists(path) or not path.parent.is_dir():
        return
    name = glob.escape(path.name)
    for aside in sorted(path.parent.glob(f".{name}.????????/{name}{OLD}")):
        with contextlib.suppress(OSError):  # another process was quicker
            aside.rename(path)
            return


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names; False where that cannot be done at once."""
    call = _renameat2()
    if call is None:
        return False
    if call(AT_WORKING_FOLDER, os.fsencode(one), AT_WORKING_FOLDER, os.fsencode(other), EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in NOT_THERE:
        return False
    raise OSError(code, os.strerror(code), str(other))


@cache
def _renameat2() -> Any:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return call
