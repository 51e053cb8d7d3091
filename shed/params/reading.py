"""From a YAML file to a section of params, or to one line that says what is wrong with it.

In: a path. Out: a checked section.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from shed.common.errors import ShedError
from shed.common.spelling import did_you_mean
from shed.data.formats.yaml_text import read_yaml
from shed.params.records import PATH, TASKS
from shed.params.section import Section
from shed.params.whole import Params

NOT_KEYS = {PATH, TASKS, "[key]"}  # what pydantic has in the place of an error, and the file has not
LONGEST = 200  # characters of a key or a value in a message
AnySection = TypeVar("AnySection", bound=Section)


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and check a params file; see `load`."""
    return load(Params, path)


def load(section: type[AnySection], path: Path | str) -> AnySection:
    """Read and check a YAML file that holds a section.

    The file is read as YAML 1.2, as DVC writes it: `1e-05` is a number and `yes` a text.

    Raises:
        ShedError: one line with the first wrong key, its value and what is allowed.
    """
    try:
        raw = read_yaml(Path(path), "file of params", "dvc")
    except FileNotFoundError as error:
        raise ShedError(f"{path}: no such file; run in the project's root") from error
    except OSError as error:
        raise ShedError(f"{path}: {error.strerror}") from error
    if not isinstance(raw, dict):
        raise ShedError(f"{path}: must be a mapping of keys to values, with the keys {', '.join(section.model_fields)}")
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        raise ShedError(f"{path}: {_explain(error, section)}") from error


def _explain(error: ValidationError, top: type[Section]) -> str:
    """The first error as one line; an unknown key goes first, since a typo shows as an unknown and a missing key."""
    found = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")[0]
    path = [text if (text := str(part)).isprintable() else repr(text) for part in found["loc"] if part not in NOT_KEYS]
    key = ".".join(map(_short, path))
    if found["type"] == "extra_forbidden":
        allowed = [field.alias or name for name, field in _section(path[:-1], top).model_fields.items()]
        hint = did_you_mean(path[-1], allowed)
        return f"unknown key {key!r} with value {_shown(found['input'])}; {hint}allowed here: {', '.join(allowed)}"
    if found["type"] == "missing":
        return f"key {key!r} is missing; every key must stand in the file"
    if found["type"] == "too_short":
        return f"{key} is empty; name at least {found['ctx']['min_length']}"
    if found["type"] == "value_error":
        said = str(found["ctx"]["error"])
        return said if _is_section(path, top) else f"{key}: {said}"
    if found["type"] == "model_type":
        keys = [field.alias or name for name, field in _section(path, top).model_fields.items()]
        return f"{key} is {_shown(found['input'])}; it must have the keys {', '.join(keys)}"
    message = "null" if found["type"] == "none_required" else found["msg"].removeprefix("Input should be ")
    return f"{key} is {_shown(found['input'])}; it must be {message}"


def _shown(value: Any) -> str:
    """A value from the file as it may stand in a message: short, in one line, printable."""
    try:
        text = repr(value)
    except ValueError:  # Python's own limit on the digits of an integer
        text = "a number of more than 4,300 digits"
    return _short(text.encode("utf-8", "backslashreplace").decode())


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_section(path: list[str], top: type[Section]) -> bool:
    """True for a group of params, whose own checks name keys in full, and not one param."""
    field = _section(path[:-1], top).model_fields.get(path[-1]) if path else None
    return not path or (field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))


def _section(path: list[str], top: type[Section]) -> type[BaseModel]:
    """The group that a path leads to; a part that is no param's name is one that a user gave, as to a dev task."""
    section: type[BaseModel] = top
    for part in path:
        field = section.model_fields.get(part)
        section = section if field is None else next(_models(field.annotation))
    return section


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The groups in a type: itself, or those in a union or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
