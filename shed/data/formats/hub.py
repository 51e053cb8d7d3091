"""Hugging Face datasets: of the hub, at one commit, or saved to a folder by `datasets`.

In: hf://datasets/OWNER/NAME@COMMIT?split=…&config=…, or a folder of `save_to_disk`. Out: Arrow batches of its rows.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from shed.common.errors import ShedError
from shed.data.formats.arrow_files import BATCH

if TYPE_CHECKING:
    import pyarrow as pa

SCHEME = "hf://"
ADDRESS = re.compile(r"hf://datasets/(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<commit>[^?/]*))?(?:\?(?P<query>.*))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
SAVED = ("state.json", "dataset_dict.json")  # one of them stands in each folder that `save_to_disk` wrote


def is_saved(folder: Path) -> bool:
    """True for a folder that `save_to_disk` of `datasets` wrote."""
    return any((folder / name).is_file() for name in SAVED) and (
        (folder / "dataset_dict.json").is_file() or (folder / "dataset_info.json").is_file()
    )


def hub_batches(where: str) -> Iterator["pa.RecordBatch"]:
    """The rows of a dataset of the hub, downloaded as they are read.

    Raises:
        ShedError: the address is not whole, or the hub does not give the dataset.
    """
    name, commit, split, config = _address(where)
    from datasets import load_dataset

    if Path(name).exists():
        raise ShedError(f"{where}: there is a local {name}, which `datasets` would read instead of the hub's; rename it")
    with _told_in_one_line(where):
        # `datasets` runs no code of a dataset: it has had no scripts since its version 4.
        data = load_dataset(name, name=config, split=split, revision=commit, streaming=True)
        yield from _batches(where, data, "add ?split=NAME to the address")


def saved_batches(folder: Path) -> Iterator["pa.RecordBatch"]:
    """The rows of a folder of `save_to_disk`.

    Raises:
        ShedError: the folder is damaged, or holds several splits.
    """
    from datasets import load_from_disk

    with _told_in_one_line(str(folder)):
        for batch in _batches(str(folder), load_from_disk(str(folder)), f"name one as {folder}/NAME"):
            batch.validate(full=True)  # mapped as it stands on disk: wrong offsets would lead out of it
            yield batch


def _address(where: str) -> tuple[str, str, str | None, str | None]:
    match = ADDRESS.fullmatch(where)
    if not match:
        raise ShedError(f"{where}: not the address of a dataset; write hf://datasets/OWNER/NAME@COMMIT?split=train")
    name, commit = match["id"], match["commit"]
    if not COMMIT.fullmatch(commit or ""):
        raise ShedError(
            f"{where}: needs the full commit, 40 hexadecimal digits, as hf://datasets/{name}@COMMIT, since a name or a branch "
            f"can change; it stands under https://huggingface.co/datasets/{name}/commits/main"
        )
    pairs = parse_qsl(match["query"] or "", keep_blank_values=True)
    query = dict(pairs)
    for key, value in pairs:
        if key not in {"split", "config"} or not value or len(pairs) > len(query):
            raise ShedError(f"{where}: {key!r} is unknown, empty or given twice; after the ? may stand split=… and config=…")
    return name, commit, query.get("split"), query.get("config")


def _batches(where: str, data: Any, advice: str) -> Iterator["pa.RecordBatch"]:
    if isinstance(data, dict):  # a dataset dict: by split
        if len(data) != 1:
            raise ShedError(f"{where}: has the splits {', '.join(map(str, data))}; {advice}")
        (data,) = data.values()
    tables: Iterable[pa.Table] = data.with_format("arrow").iter(batch_size=BATCH)  # as stored: no image or sound is decoded
    for table in tables:
        yield from table.to_batches()


@contextmanager
def _told_in_one_line(where: str) -> Iterator[None]:
    import httpx2
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException

    try:
        yield
    except (
        DatasetsError,
        ArrowException,
        httpx2.HTTPError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        RuntimeError,
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ShedError(
            f"{where}: `datasets` cannot read it ({reason}); check the address, the split and the network"
        ) from error
