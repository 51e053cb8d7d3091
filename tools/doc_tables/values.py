"""Values in committed results, by a path of keys, and how they are written.

In: a path such as `compare/test/top-0.1/loss_gain as interval .2f`, or `metrics/verdict/sentence as text`. Out: a text such as
`0.53 [0.39, 0.68]`, or the text that stands there.

A path is a folder, a file, and keys. Of rows, as a CSV file has them, a key chooses those with a cell of this text; rows of a
method at a share of the pool are also found as METHOD-SHARE. A slash between spaces belongs to a key.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import pandas as pd

from shed.common.import_closure import ROOT
from tools.doc_tables.markdown import number_text

FOLDERS = {
    "benchmarks": "benchmarks",
    "commands": "benchmarks/commands",
    "compare": "experiments/compare",
    "metrics": "metrics",
    "realistic": "experiments/realistic/rows-1000",
    "selection": "experiments/selection",
    "valuation": "experiments/valuation",
}
Row = dict[str, Any]


@cache
def result(name: str) -> Any:
    """A committed result, by folder and name without its ending: the value of a JSON file, or the rows of a CSV file.

    Raises:
        FileNotFoundError: there is none.
    """
    folder, _, file = name.partition("/")
    found = ROOT / FOLDERS[folder] / f"{file}.json"
    if found.exists():
        return json.loads(found.read_text(encoding="utf-8"))
    return rows(found.with_suffix(".csv"))


def rows(path: Path) -> list[Row]:
    """The rows of a CSV file; None where a cell is empty."""
    table: list[Row] = json.loads(pd.read_csv(path).to_json(orient="records", double_precision=15))
    return table


def value(path: str) -> Any:
    """What stands at a path.

    Raises:
        KeyError: nothing stands there.
    """
    folder, file, *keys = re.split(r"(?<! )/(?! )", path)
    found = result(f"{folder}/{file}")
    try:
        for key in keys:
            found = _chosen(found, key) if _is_rows(found) else found[int(key) if isinstance(found, list) else key]
    except (LookupError, TypeError, ValueError) as error:
        raise KeyError(f"{path!r}: nothing stands at {key!r}") from error
    return found


def written(marker: str) -> str:
    """A value as a marker asks for it: `PATH as [minus|giga|minutes] [interval|error] FORMAT`, the format being Python's.

    `minus` turns the sign round, `giga` makes gigabytes of bytes, and `minutes` makes them of seconds; `interval` adds the 95 %
    interval, and `error` the standard error. The format `text` takes one line of text as it is.
    """
    path, separator, form = marker.rpartition(" as ")
    if form == "text":
        return _text(path)
    *words, spec = form.split()
    if not separator or set(words) - {"minus", "giga", "minutes", "interval", "error"}:
        raise KeyError(f"{marker!r} is not of the form PATH as [minus|giga|minutes] [interval|error] FORMAT")
    number = value(path)
    if number is None or isinstance(number, str | dict | list):
        raise KeyError(f"{path!r} is {str(number)[:40]!r}, not a number")
    sign = -1 if "minus" in words else 1
    if "giga" in words:
        number = number / 1e9
    if "minutes" in words:
        number = number / 60
    shown = number_text(sign * number, spec)
    if "interval" in words:
        ends = sorted(sign * value(f"{path}_{end}") for end in ("low", "high"))
        return f"{shown} [{number_text(ends[0], spec)}, {number_text(ends[1], spec)}]"
    if "error" in words:
        return f"{shown} ± {number_text(value(f'{path}_stderr'), spec.lstrip('+'))}"
    return shown


def _text(path: str) -> str:
    text = value(path)
    if not isinstance(text, str) or "\n" in text or "<!--" in text:
        raise KeyError(f"{path!r} is {str(text)[:40]!r}, not one line of text")
    return text


def _is_rows(found: Any) -> TypeGuard[list[Row]]:
    return isinstance(found, list) and bool(found) and all(isinstance(row, dict) for row in found)


def _chosen(found: list[Row], key: str) -> list[Row] | Row:
    """The rows that have a cell of this text; one alone as the row itself."""
    chosen = [row for row in found if key in (*(str(cell) for cell in row.values() if isinstance(cell, str | int)), _run(row))]
    if not chosen:
        raise KeyError(key)
    return chosen[0] if len(chosen) == 1 else chosen


def _run(row: Row) -> str:
    return f"{row['method']}-{row['fraction']:g}" if {"method", "fraction"} <= set(row) else ""
