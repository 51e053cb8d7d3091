"""The values of a row, and the rule that none of them is dropped without a word.

In: an object of JSON values. Out: its values one by one by `Fields`, which in the end refuses what nobody asked for.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from shed.data.formats.json_values import DECODER
from shed.data.forms.metadata import OWN, is_metadata

OWN_ID = re.compile("[0-9a-f]{16}")  # of a row that this project wrote
OWN_IDS = ("id", "shed_id")
ALL = "*"  # ignores every key that a form does not use
DEEPEST = 100  # levels in a list or object that is given as JSON text


class SetAside(Exception):
    """A row is no record; the message is the reason, the same for all rows with this fault.

    Attributes:
        setting: the setting that would mend it, in plain words, if there is one.
    """

    def __init__(self, reason: str, setting: str | None = None) -> None:
        super().__init__(reason)
        self.setting = setting


class Fields:
    """An object's values, each asked for by its key.

    Args:
        values: the object.
        ignored: keys that may stay unused; `*`: all of them.
        columns: by the name that a form asks for, the key that has it here.
    """

    def __init__(
        self, values: Mapping[str, Any], ignored: Collection[str] = (), columns: Mapping[str, str] | None = None
    ) -> None:
        self._values, self._ignored, self._columns = values, ignored, columns or {}
        self._taken: set[str] = set()

    @property
    def is_own(self) -> bool:
        """True for a row that this project wrote: it has an id of the project's, under `shed_id` where it has another too."""
        return any(OWN_ID.fullmatch(str(self._values[key])) for key in OWN_IDS if key in self._values)

    @property
    def ignored(self) -> list[str]:
        """The keys that nobody took and that may stay unused."""
        if not self._ignored:
            return []
        return [key for key in self._values if key not in self._taken and (key in self._ignored or ALL in self._ignored)]

    def key(self, name: str) -> str | None:
        """The key that has what a form calls `name`; None where there is none."""
        if not self._columns:
            return name if name in self._values else None
        if name in self._columns:
            key = self._columns[name]
        elif name in self._columns.values():
            return None  # this column was given another name
        else:
            key = name
        return key if key in self._values else None

    def has(self, *names: str) -> bool:
        """True if there is a key for one of the names, though it may be empty."""
        if not self._columns:
            return not self._values.keys().isdisjoint(names)
        return any(self.key(name) is not None for name in names)

    def take(self, *names: str) -> Any:
        """The value under the names, of which one may have it; None where none has.

        Raises:
            SetAside: two of the names have different values.
        """
        if self._columns:
            keys = [key for name in names if (key := self.key(name)) is not None]
        elif self._values.keys().isdisjoint(names):  # most rows are asked here for much that they have not
            return None
        else:
            keys = [name for name in names if name in self._values]
        if not keys:
            return None
        self._taken.update(keys)
        if len(keys) == 1:
            return self._values[keys[0]]
        said = [key for key in keys if not is_empty(self._values[key])] or keys[:1]
        if any(self._values[key] != self._values[said[0]] for key in said[1:]):
            raise SetAside(f"has both {shown(said[0])} and {shown(said[1])}, which differ")
        return self._values[said[0]]

    def text(self, *names: str) -> str:
        """The text under the names; "" where there is none."""
        value = self.take(*names)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise not_text(next((name for name in names if self.has(name)), names[0]), value)
        return value

    def number(self, *names: str) -> float | None:
        """The number under the names, at least 0; true is 1 and false 0; None where there is none."""
        value = self.take(*names)
        if is_empty(value):
            return None
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise SetAside(f"{shown(names[0])} is not a number") from None
        if not 0 <= number < math.inf:
            raise SetAside(f"{shown(names[0])} is below 0 or not finite")
        return number

    def unused(self, repeated: Collection[str] = ()) -> list[str]:
        """Keys that nobody took, though they say something, are not metadata and are not to be ignored.

        Args:
            repeated: texts that are known; a key that only says one of them again says nothing.
        """
        if ALL in self._ignored:
            return []
        return [
            key
            for key, value in self._values.items()
            if key not in self._taken
            and key not in self._ignored
            and not is_empty(value)
            and not is_metadata(key, value)
            and not (self.is_own and (key in OWN or key.startswith("shed_")))
            and not (isinstance(value, str) and value in repeated)
        ]

    def refuse_unused(self, where: str, repeated: Collection[str] = ()) -> None:
        """Refuse the object, a part of a row, if keys were not taken; of those that repeat a known text, see `unused`.

        Raises:
            SetAside: there are some.
        """
        if unused := self.unused(repeated):
            one = len(unused) == 1
            keys = f"key {shown(unused[0])} of {where} is" if one else f"keys {', '.join(map(shown, unused))} of {where} are"
            it = "it if it says" if one else "them if they say"
            raise SetAside(f"the {keys} not used; ignore {it} nothing", "ignored keys")


def is_empty(value: Any) -> bool:
    """True for null, "", blank text, [] and {}."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, list | dict) and not value)


def shown(key: str) -> str:
    """A key or a name from the data as it may stand in a message."""
    return repr(key if len(key) <= 40 else key[:40] + "…").encode("utf-8", "backslashreplace").decode()


def not_text(key: str, value: Any) -> SetAside:
    """The reason for a value that should be a text, which says what it is instead."""
    kind = {bool: "true or false", int: "a number", float: "a number", dict: "an object", list: "a list"}.get(type(value))
    return SetAside(f"{shown(key)} is not text" + (f" but {kind}; write it as text" if kind else ""))


def from_json(value: Any, what: str) -> Any:
    """The value, decoded where it is JSON text; tables and some data sets keep lists and objects as text.

    Raises:
        SetAside: the text is not JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        decoded = DECODER.decode(value)
    except (ValueError, RecursionError):
        python = "; write it by json.dumps, not as Python shows it" if re.match(r"\s*\[?\s*\{\s*'", value) else ""
        raise SetAside(f"{what} is text, and not valid JSON{python}") from None
    level = [decoded]
    for _ in range(DEEPEST):
        level = [
            item
            for outer in level
            if isinstance(outer, list | dict)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise SetAside("nested too deeply")
    return decoded


def as_given(values: Mapping[str, Any], ignored: Collection[str]) -> str:
    """The row as JSON text; dates, times and decimals of tables are texts in it.

    Args:
        values: the row.
        ignored: keys that are left out where they hold bytes, as images do.

    Raises:
        SetAside: another key holds bytes, or a number is none of JSON's.
    """
    try:
        try:
            return ENCODER.encode(values)
        except SetAside:
            return ENCODER.encode(
                {key: value for key, value in values.items() if key not in ignored or not _holds_bytes(value)}
            )
    except ValueError:
        raise SetAside("holds a number that JSON cannot hold") from None


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset | tuple | list):
        return list(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise SetAside("holds bytes, not text; ignore their key", "ignored keys")
    return str(value)


ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain)


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_bytes, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_bytes, value))
    return isinstance(value, bytes | bytearray | memoryview)
