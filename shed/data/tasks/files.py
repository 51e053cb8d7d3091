"""Task files of lm-eval, as far as they say what they are made of; nothing in them is run here.

In: a path. Out: the file's keys, and the files that its tasks are read from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError
from shed.data.formats.yaml_text import read_yaml


def is_task_file(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def read_task_file(path: Path) -> dict[str, Any]:
    """The keys of a task file.

    Raises:
        ShedError: it is not there, or not a mapping in YAML.
    """
    try:
        value = read_yaml(path, "task file of lm-eval", "lm_eval")
    except OSError as error:
        raise ShedError(f"{path}: no task file of lm-eval can be read there: {error.strerror}") from error
    if not isinstance(value, dict):
        raise ShedError(f"{path}: not a task file of lm-eval, which is a mapping with `task` and `doc_to_text`")
    return value


def files_of(path: Path, base: Path) -> list[Path]:
    """A task file, those that it includes, the code beside it that it names, and the data files that it names, if local.

    Args:
        base: where its data files' paths start.

    Raises:
        ShedError: a task file cannot be read.
    """
    return sorted(set(_files_of(path, base, set())))


def _files_of(path: Path, base: Path, seen: set[Path]) -> Iterator[Path]:
    if path in seen:
        return
    seen.add(path)
    yield path
    keys = read_task_file(path)
    for included in _texts(keys.get("include")):
        yield from _files_of(path.parent / included, base, seen)
    named = [value.partition(".")[0] for value in _texts(keys)]
    yield from (code for name in dict.fromkeys(named) if name.isidentifier() and (code := path.parent / f"{name}.py").is_file())
    arguments = keys.get("dataset_kwargs")
    for text in _texts(arguments.get("data_files") if isinstance(arguments, dict) else None):
        if "://" not in text:
            own = base / text
            yield from [own] if own.is_file() else (found for found in _globbed(base, text) if found.is_file())


def _globbed(base: Path, pattern: str) -> list[Path]:
    return [] if Path(pattern).is_absolute() else sorted(base.glob(pattern))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
