"""Arrays that are larger than memory should have to be.

In: a path. Out: an array that is read from its file where it is used; a file written part by part.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shed.common.atomic_io import replacing


def map_array(path: Path | str) -> np.ndarray:
    """The array of an .npy file, which may not be written to; only the rows that are asked for are read."""
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def join_arrays(path: Path | str, parts: Sequence[Path]) -> None:
    """Write the rows of several .npy files, one at least and all of one width and type, as one."""
    each = [map_array(part) for part in parts]
    head = {
        "descr": np.lib.format.dtype_to_descr(each[0].dtype),
        "fortran_order": False,
        "shape": (sum(len(part) for part in each), *each[0].shape[1:]),
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for part in parts:
            file.write(np.load(part, allow_pickle=False).tobytes())
