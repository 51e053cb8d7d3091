"""Files that are either whole or absent: every write goes to a temporary neighbour and is then renamed over the target.

In: a path and what to write. Out: the file, whole; or an error, and the file as it was.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed.common.errors import ShedError
from shed.common.exchange import put_in_place, recover

if TYPE_CHECKING:  # most commands read no table, and these take half a second
    import numpy as np
    import pandas as pd


@contextmanager
def replacing(path: Path | str, named: Callable[[Path], str] | None = None) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success rename it over `path`, on failure remove it.

    Works for a file and for a directory (the block then calls `mkdir` on it). A process that is killed leaves the old one or
    the new one at `path`, and perhaps a folder `.NAME.RANDOM` beside it.

    Args:
        named: gives another name than that of `path` to what is finished, by its content (`shed.common.sealed`).

    Raises:
        ShedError: the system refuses to write there.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recover(path)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)) / path.name
        yield temporary
        target = path if named is None else path.with_name(named(temporary))
        if temporary.is_dir():
            put_in_place(temporary, target)
        else:
            temporary.replace(target)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise ShedError(f"cannot write {path}: {reason}; choose a folder with room that you may write to") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary.parent, ignore_errors=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with floats rounded to 6 digits after the point (NaN is refused)."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_rounded(value), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_text(path: Path | str, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path | str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_jsonl(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_table(path: Path | str, table: "pd.DataFrame") -> None:
    """Write a table as Parquet, or as CSV where the name ends so (plot data, kept in git)."""
    with replacing(path) as temporary:
        if temporary.suffix == ".csv":
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
        else:
            table.to_parquet(temporary, index=False)


def write_array(path: Path | str, array: "np.ndarray") -> None:
    import numpy as np

    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: Path | str) -> "np.ndarray":
    import numpy as np

    array: np.ndarray = np.load(path, allow_pickle=False)
    return array


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # numpy's scalars are of these kinds, too
        return int(value)
    if isinstance(value, Real):
        return round(float(value), 6)
    return value
