"""`shed check`: whether data, model and params can be used, before anything costs time.

In: a project. Out: what each split holds, what is set aside and why, what is cut, and the first error, if there is one; nothing
of the project is written.

The first stages themselves are run, in a folder that is then removed: what they refuse would be refused by `dvc repro`.
"""

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from shed.cli.project import Project, find_project
from shed.cli.terminal import Json, show_result
from shed.common.atomic_io import read_json, write_text
from shed.common.errors import ShedError
from shed.params import Params, check_files

Result = TypeVar("Result")
SPLITS = ("pool", "dev", "test")
SAID, WARNED = "shed: ", "warning: "
COSTS = "on this machine"  # which `shed plan` tells better
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
        lengths: response tokens of the pool.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)
    rejects: list[dict[str, str]] = field(default_factory=list)
    lengths: dict[str, Any] = field(default_factory=dict)


def check(*, as_json: Json = False) -> None:
    """Check data, model and params before anything costs time; exit status 1 if the pipeline would fail.

    All rows are read. Told are their forms, what is set aside (unreadable, duplicates, records of dev or test in the pool),
    lengths in tokens, what the context cuts, licences, and what of it stops the pipeline.
    """
    found = checked(find_project())
    show_result(vars(found) | {"ok": not found.errors}, as_json, lambda console: _draw(console, found))
    if found.errors:
        raise SystemExit(1)


def checked(project: Project) -> Findings:
    """What is found, up to the first error."""
    found = Findings()
    params = _tried(found, lambda: project.params)
    if params is None:
        return found
    with chdir(project.root):
        _tried(found, lambda: check_files(params))
    if not found.errors:
        _run_stages(project, params, found)
    return found


def _run_stages(project: Project, params: Params, found: Findings) -> None:
    """The stages that check, in a folder with the project's params."""
    with _in_copy(project.root) as copy:
        from stages import fetch, lengths, prepare

        for stage in (fetch, prepare, lengths):
            said = io.StringIO()
            with redirect_stderr(said):
                _tried(found, partial(stage.run, params))
            for line in said.getvalue().splitlines():
                if line.startswith(SAID + WARNED):
                    found.warnings.append(line.removeprefix(SAID + WARNED))
                elif line.startswith(SAID):
                    found.told.append(line.removeprefix(SAID))
            if found.errors:
                break
        if (card := copy / "metrics/data.json").exists():
            found.card = read_json(card)
        if (own := copy / "metrics/lengths.json").exists():
            found.lengths = read_json(own)
        if (rejects := copy / "data/prepared/rejects.jsonl").exists():
            found.rejects = list(_first_of_reasons(rejects))
    here = f"{project.root}{os.sep}"  # the copy names files of the project in full
    for lines in (found.errors, found.warnings, found.told):
        lines[:] = [line.replace(here, "") for line in lines]
    for reject in found.rejects:
        reject["origin"] = reject["origin"].removeprefix(here)


@contextmanager
def _in_copy(root: Path) -> Iterator[Path]:
    """A folder to work in, that has the project's params; its data is found where it is."""
    before = os.environ.get("DVC_ROOT")
    with TemporaryDirectory() as folder, chdir(folder):
        write_text("params.yaml", (root / "params.yaml").read_text(encoding="utf-8"))
        os.environ["DVC_ROOT"] = str(root)
        try:
            yield Path(folder)
        finally:
            os.environ.pop("DVC_ROOT")
            if before is not None:
                os.environ["DVC_ROOT"] = before


def _tried(found: Findings, step: Callable[[], Result]) -> Result | None:
    """What a step gives; its error is a finding."""
    from stages import KEYS, naming_keys

    try:
        with naming_keys(KEYS):
            return step()
    except ShedError as error:
        found.errors.append(str(error))
        return None


def _first_of_reasons(rejects: Path) -> Iterator[dict[str, str]]:
    """The first row of each split and reason, but of rows that were only not drawn."""
    seen: set[tuple[str, str]] = set()
    with rejects.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            key = (row["split"], row["reason"])
            if row["reason"] != "not_drawn" and key not in seen:
                seen.add(key)
                yield {name: str(row[name]) for name in ("split", "reason", "origin")}


def _draw(console: Console, found: Findings) -> None:
    if found.card:
        console.print(_table(found))
    for reject in found.rejects:
        count = found.card.get(reject["split"], {}).get("rejected_by_reason", {}).get(reject["reason"])
        rows = "" if count is None else f"{count:,} rows, "
        console.print(f"{reject['split']}: set aside, {reject['reason']}: {rows}the first is {reject['origin']}")
    for split, own in found.card.items():
        if count := own["rejected_by_reason"].get("not_drawn"):
            console.print(f"{split}: not drawn, {count:,} rows (data.{split}_rows)")
    for line in found.told:
        if not IN_TABLE.match(line) and not line.startswith(COSTS):
            console.print(line)
    for line in found.warnings:
        console.print(f"warning: {line}", style="yellow")
    for line in found.errors:
        console.print(f"error: {line}", style="red")
    errors, warnings = len(found.errors), len(found.warnings)
    console.print(f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}", style="bold")


def _table(found: Findings) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("split", "rows", "kept", "split off", "set aside", "tokens, mean", "most", "cut", "sources", "licences"):
        table.add_column(name, justify="left" if name in {"split", "sources", "licences"} else "right", overflow="fold")
    for split in SPLITS:
        own = found.card[split]
        table.add_row(
            split,
            f"{own['in']:,}",
            f"{own['kept']:,}",
            f"{sum(own.get('split_off', {}).values()):,}",
            f"{own['rejected']:,}",
            f"{own['tokens_mean']:.0f}",
            f"{own['tokens_max']:,}",
            f"{own['share_cut']:.0%}",
            str(len(own["kept_by_source"])),
            ", ".join(sorted(set(own["licences"].values()))),
        )
    return table
