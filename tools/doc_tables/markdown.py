"""Markdown tables and the cells that stand in them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Block = Callable[[], str]
TASKS = {"commonsenseqa": "CommonsenseQA (dev's task)", "openbookqa": "OpenBookQA", "mmlu": "MMLU"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number_text(value: float, spec: str) -> str:
    """A number by Python's format, without a minus sign where it rounds to zero."""
    return format(value, re.sub(r"(?=,?\.)", "z", spec, count=1))


def interval(row: Mapping[str, Any], name: str, spec: str = ".2f") -> str:
    """A value with its 95 % interval; empty where there is none."""
    if row.get(name) is None:
        return ""
    value, low, high = (number_text(row[key], spec) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value} [{low}, {high}]"


def mean(row: Mapping[str, Any], measure: str, spec: str = ".3f") -> str:
    """A mean over seeds and the deviation between them."""
    return f"{row[measure]:{spec}} ± {row[f'{measure}_std']:{spec}}"


def gain(row: Mapping[str, Any], measure: str) -> str:
    """A gain over a reference with its 95 % interval: nats a token to two digits, other measures to three."""
    return interval(row, f"{measure}_gain", "+.2f" if measure == "loss" else "+.3f")


def p_value(row: Mapping[str, Any], measure: str) -> str:
    """A p-value corrected for the number of comparisons."""
    p = row.get(f"{measure}_p_holm")
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def code(text: str) -> str:
    return f"`{text}`"
