"""What `shed check` found, and how it is shown.

In: what the first stages said and wrote. Out: lines and tables.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shed.cli.terminal import counted

SPLITS = ("pool", "dev", "test")
COLUMNS = ("split", "rows", "kept", "split off", "set aside", "tokens, mean", "longest as cut", "cut", "sources", "licences")
COUNTED = 500  # records of a split whose tokens the stage `prepare` counts
IN_TABLE = re.compile(r"(pool|dev|test): [\d,]+ (rows read|records of)\b")  # lines that the table has, too


@dataclass
class Findings:
    """What a check found.

    Attributes:
        errors: what would stop the pipeline: one line, or none.
        warnings: what would not.
        told: other lines of the stages.
        card: of each split its counts, sources, licences, forms and lengths; empty where it could not be read.
        rejects: the first rows that were set aside for each reason of each split: `split`, `reason`, `origin`.
        lengths: response tokens of the pool, and how many of its records are longer than the context.
        may_be_too_long: whether such records may be selected.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)
    rejects: list[dict[str, str]] = field(default_factory=list)
    lengths: dict[str, Any] = field(default_factory=dict)
    may_be_too_long: bool = False


def draw(console: Console, found: Findings) -> None:
    """Print all that was found."""
    if found.card:
        console.print(_table(found))
        for line in _about_tokens(found):
            console.print(line)
        if weights := found.card["dev"].get("weights"):
            console.print(_tasks(weights, found.card["dev"]["kept_by_source"]))
    for reject in found.rejects:
        console.print(_set_aside(found.card.get(reject["split"], {}), **reject))
    for split, own in found.card.items():
        if count := own["rejected_by_reason"].get("not_drawn"):
            console.print(f"{split}: not drawn, {counted(count, 'row')} (data.{split}_rows)")
    for line in found.told:
        if not IN_TABLE.match(line):
            console.print(line)
    for line in found.warnings:
        console.print(f"warning: {line}", style="yellow")
    for line in found.errors:
        console.print(f"error: {line}", style="red")
    errors, warnings = len(found.errors), len(found.warnings)
    console.print(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}", style="bold")


def _set_aside(card: Mapping[str, Any], split: str, reason: str, origin: str) -> str:
    sample = card.get("looked_at", {"rejected_by_reason": {}})
    if (some := sample["rejected_by_reason"].get(reason)) is not None:
        rows = f"{some:,} of the {counted(sample['rows'], 'row')} looked at, "
    else:
        count = card.get("rejected_by_reason", {}).get(reason)
        rows = "" if count is None else f"{counted(count, 'row')}, "
    return f"{split}: set aside, {reason}: {rows}the first is {origin}"


def _table(found: Findings) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in {"split", "sources", "licences"} else "right", overflow="fold")
    for split in SPLITS:
        own = found.card[split]
        table.add_row(
            split,
            f"{own['in']:,}",
            f"{'at most ' if own.get('kept_at_most') else ''}{own['kept']:,}",
            f"{sum(own.get('split_off', {}).values()):,}",
            f"{own['rejected']:,}",
            f"{own['tokens_mean']:.0f}",
            f"{own['tokens_max']:,}",
            f"{own['share_cut']:.0%}",
            str(len(own["kept_by_source"])),
            ", ".join(sorted(set(own["licences"].values()))),
        )
    return table


def _about_tokens(found: Findings) -> Iterator[str]:
    """Which records the columns of tokens are of, and what becomes of those that are too long."""
    if some := [split for split in SPLITS if found.card[split]["kept"] > COUNTED]:
        yield (
            f"tokens, longest and cut: of the first {COUNTED} records of {' and '.join(some)}; a record longer than the "
            "context counts as what is left when it is cut"
        )
    if not found.lengths or not (count := found.lengths["too_long"]):
        return
    what = "may be selected as they are cut" if found.may_be_too_long else "cannot be selected"
    sampled = "looked_at" in found.card["pool"]
    rows = f"about {count / found.lengths['rows']:.1%} of the records" if sampled else counted(count, "record")
    of = "" if sampled else f" of {found.lengths['rows']:,}"
    yield f"pool: {rows}{of} longer than the context, which {what} (sample.too_long: {json.dumps(found.may_be_too_long)})"


def _tasks(weights: Mapping[str, float], rows: Mapping[str, int]) -> Table:
    """Dev's tasks."""
    table = Table(box=None, pad_edge=False)
    for name in ("dev task", "rows", "weight"):
        table.add_column(name, justify="left" if name == "dev task" else "right", overflow="fold")
    for name, weight in weights.items():
        table.add_row(Text(name), f"{rows.get(name, 0):,}", f"{weight:.3g}")
    return table
