"""What each param is, in words.

In: a checked section. Out: a line for each of its keys.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel


class Line(NamedTuple):
    """A param's dotted name, its value, and what it means."""

    name: str
    value: str
    meaning: str


def describe(section: BaseModel, prefix: str = "") -> Iterator[Line]:
    """A line for each param; its meaning ends with the allowed values where they are few."""
    for name, field in type(section).model_fields.items():
        value: Any = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from describe(value, f"{prefix}{name}.")
        else:
            allowed = ", ".join(_choices(field.annotation))
            several = "any" if get_origin(field.annotation) is list else "one"
            meaning = f"{field.description}; {several} of {allowed}" if allowed else str(field.description)
            yield Line(prefix + name, "null" if value is None else str(value), meaning)


def _choices(annotation: Any) -> list[str]:
    """The values of a `Literal`, also of a list of one or beside None."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]
