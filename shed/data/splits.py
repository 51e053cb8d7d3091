"""A split as params name it: from its recipe, path or tasks to its rows, and to what tells whether they changed.

In: where a split is, and how rows are read. Out: `Record`s and `BadRecord`s in a fixed order; digests of the files.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from shed.common.errors import ShedError
from shed.data.files import data_files, is_dataset
from shed.data.formats.hub import SCHEME
from shed.data.readers import BadRecord, ReaderSettings, Reading, read_user
from shed.data.recipes import Source, is_recipe, read_recipe, read_source
from shed.data.records import Record
from shed.data.tasks.dev_tasks import DevTask
from shed.data.tasks.documents import SCHEME as TASK
from shed.data.tasks.documents import is_task, task_digests, task_records
from shed.data.tasks.named import short_name

Locate = Callable[[str], str]
Where = str | Mapping[str, DevTask]
OF_TASK = "that of the task's data"


def paths_of(where: Where) -> list[str]:
    """What a split is made of: the one path, or that of each dev task."""
    return [where] if isinstance(where, str) else [task.path for task in where.values()]


def read_split(
    where: Where, settings: ReaderSettings, reading: Reading, locate: Locate = str, split: str = "dev"
) -> Iterator[Record | BadRecord]:
    """The rows of a recipe's sources, of a file, a folder, a glob or a Hugging Face dataset, or of tasks, one at a time.

    Args:
        where: a path or an address, or several dev tasks by their names, which are then their records' sources.
        settings: how the user's own rows are read; a recipe may say otherwise of a source.
        reading: counts what is read.
        locate: where a path that is relative lies.
        split: which split it is; of a task of lm-eval, test has other documents than dev, and the pool has none.

    Raises:
        ShedError: nothing is there, or what is there cannot be read.
    """
    if not isinstance(where, str):
        for name, task in where.items():
            with _naming("dev", name, "task"):
                for row in read_split(task.path, settings, reading, locate, split):
                    yield replace(row, source=name)
    elif is_recipe(where) and not is_task(where):
        for source in read_recipe(locate(where)).sources:
            if isinstance(source, Source):
                yield from read_source(source)
            else:
                with _naming(where, source.name):
                    own = replace(settings, **source.own_settings)
                    yield from _own_rows(source.path, own, source.name, reading, locate, split)
    else:
        yield from _own_rows(where, settings, None, reading, locate, split)


def digests(where: Where, locate: Locate = str) -> dict[str, str]:
    """What a split is read from: the SHA-256 of each file by its path; of wheels, datasets and tasks of a hub what pins them.

    Raises:
        ShedError: nothing is there.
    """
    if not isinstance(where, str):
        found: dict[str, str] = {}
        for name, task in where.items():
            with _naming("dev", name, "task"):
                found |= digests(task.path, locate)
        return found
    if not is_recipe(where) or is_task(where):
        return _digests(where, locate)
    recipe = read_recipe(locate(where))
    found = {where: digest(Path(locate(where)))}
    for source in recipe.sources:
        with _naming(where, source.name):
            found |= {source.package: source.sha256} if isinstance(source, Source) else _digests(source.path, locate)
    return found


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def licences(where: Where, locate: Locate = str) -> dict[str, str]:
    """The licence of each source, as far as a recipe says, and of tasks."""
    if not isinstance(where, str):
        own = {name: licences(task.path, locate) for name, task in where.items()}
        return {name: "; ".join(dict.fromkeys(found.values())) for name, found in own.items() if found}
    if is_task(where):
        return {short_name(where.removeprefix(TASK)): OF_TASK}
    if not is_recipe(where):
        return {}
    return {source.name: source.licence for source in read_recipe(locate(where)).sources}


@contextmanager
def _naming(whole: str, part: str, kind: str = "source") -> Iterator[None]:
    """Say in an error which part of a recipe, or which task, it is of."""
    try:
        yield
    except ShedError as error:
        raise ShedError(f"{whole}, {kind} {part!r}: {error}", error.setting) from error


def _own_rows(
    where: str, settings: ReaderSettings, name: str | None, reading: Reading, locate: Locate, split: str
) -> Iterator[Record | BadRecord]:
    if not is_task(where):
        yield from read_user(locate(where), settings, name, reading)
    elif split == "pool":
        raise ShedError(
            f"{where}: a task of lm-eval says what is measured, for dev or test; name rows to select from", "records of pool"
        )
    else:
        yield from task_records(where, split, name, reading, locate)


def _digests(where: str, locate: Locate) -> dict[str, str]:
    if is_task(where):
        return task_digests(where, locate)
    there = locate(where)
    if there.startswith(SCHEME):
        return {where: "pinned by its commit"}
    saved = Path(there).expanduser()
    files = sorted(path for path in saved.rglob("*") if path.is_file()) if is_dataset(there) else data_files(there)
    base = there.removesuffix(where)
    return {str(path).removeprefix(base): digest(path) for path in files}
