"""A changed params.yaml as its writer would have it: comments, order and the form of all that has not changed.

In: the file's text, and its values after the changes. Out: the new text. `dvc exp run -S` writes the same values, but leaves
out `null` and breaks up lists and long lines.
"""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from shed.cli.making.folder import WithNull


def kept_text(text: str, values: Mapping[str, Any]) -> str:
    """The text with these values; only what is of another value is written anew."""
    yaml = YAML()  # ruamel's round trip: plain values, no objects of a file's choice
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.Representer = WithNull
    own = yaml.load(text)
    _set(own, values)
    written = StringIO()
    yaml.dump(own, written)
    return written.getvalue()


def _set(own: Any, values: Mapping[str, Any]) -> None:
    for key in [key for key in own if key not in values]:
        del own[key]
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(own.get(key), Mapping):
            _set(own[key], value)
        elif key not in own or own[key] != value or type(value) is bool or type(own[key]) is bool:
            own[key] = value
