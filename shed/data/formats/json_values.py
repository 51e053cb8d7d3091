"""One JSON object from its text, with every doubt refused.

In: the text of a line or of an entry. Out: the object, or the reason why it is none.
"""

import json
import math
import re
from typing import Any

from shed.data.formats.opening import Bad, bad, decoded

DEEPEST = 100  # levels of lists and objects in one row
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _RefusedError(ValueError):
    """Valid for Python's decoder, and still no row; its text is the reason."""


def parse_object(text: str) -> dict[str, Any] | Bad:
    """The object that `text` is, or why it is not taken: no JSON, no object, twice the same key, NaN, and the like."""
    if not decoded(text):
        return bad("not UTF-8", text)
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError:
        return bad("holds NUL bytes" if "\0" in text else "not valid JSON", text)
    except _RefusedError as error:
        return bad(str(error), text)
    except RecursionError:
        return bad("nested too deeply", text)
    except ValueError:  # Python's own limit on the digits of an integer
        return bad("a number of more than 4,300 digits", text)
    if not isinstance(value, dict):
        return bad("not a JSON object", text)
    if text.count("[") + text.count("{") > DEEPEST and _deeper(value):
        return bad("nested too deeply", text)
    if SURROGATE.search(text) and not decoded(json.dumps(value, ensure_ascii=False)):
        return bad("unpaired surrogate", text)
    return value


def _deeper(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        inner = [item for container in level for item in (container.values() if isinstance(container, dict) else container)]
        level = [item for item in inner if isinstance(item, dict | list)]
    return bool(level)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _RefusedError(f"repeats the key {twice[:40]!r}")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _RefusedError("a number that is too large")
    return number


def _constant(name: str) -> float:
    raise _RefusedError("NaN" if name == "NaN" else "Infinity")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_constant)
