"""The tables of the study, from results.json alone.

In: `python -m experiments.realistic.table [FOLDER]`. Out: printed tables of gains over as many random rows for each dev set, of
dev, by which methods are chosen, or with `--split test` of test; then what is missing, and what selecting costs.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.compare.table import markdown
from experiments.realistic.results import DEFAULT, RESULTS, SPLITS
from shed.common.atomic_io import read_json
from shed.common.errors import ShedError
from stages import command


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.realistic.table", description="Print what the study of realistic data has found so far."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, help="of results (default: %(default)s)")
    parser.add_argument(
        "--split", choices=(*SPLITS, "by_task"), default="dev", help="what is printed; dev decides (default: %(default)s)"
    )
    asked = parser.parse_args()
    path: Path = asked.folder / RESULTS
    if not path.is_file():
        raise ShedError(f"{path}: no such file; `python -m experiments.realistic.study WHERE` writes it")
    print("\n".join(told(read_json(path), asked.split)))


def told(found: dict[str, Any], split: str) -> list[str]:
    """The lines of all tables of a split, and what is missing."""
    sizes = found["study"]["sizes"]
    lines = [
        f"{found['runs_made']} of {found['runs_planned']} planned runs; a pool of {sizes['pool']:,} rows, "
        f"{sizes['items']} measured rows of each source"
    ]
    for dev, of in found["dev_sets"].items():
        rows = of[split]
        if not rows:
            lines += ["", f"{dev}: no run was made yet"]
            continue
        for task in dict.fromkeys(row.get("task", "") for row in rows):
            table = pd.DataFrame([row for row in rows if row.get("task", "") == task])
            name = f"test, {task} alone" if task else split
            lines += ["", f"selected for {dev}; {name}: gains over as many random rows [95 %], p by Holm", "", markdown(table)]
    if found["missing"]:
        lines += ["", f"not all seeds yet: {', '.join(found['missing'])}"]
    costs = [f"{name} {own['processor_seconds'] / 60:.1f}" for name, own in found["signals"].items()]
    if costs:
        lines += ["", f"processor minutes of signals: {', '.join(costs)}"]
    if found["run_processor_seconds"]:
        means = [f"{share} {seconds / 60:.1f}" for share, seconds in found["run_processor_seconds"].items()]
        lines += [f"processor minutes of a run by its share: {', '.join(means)}"]
    return lines


if __name__ == "__main__":
    command(main)
