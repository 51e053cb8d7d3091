"""Gains over random rows, from the runs that were made.

In: a folder of results. Out: results.json, which also names what is missing, and gains.csv with a row for each dev set, split,
share and method. `python -m experiments.realistic.results [FOLDER]` writes both again from the items of runs; it tunes nothing.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.realistic.plan import Cell, of_dev
from experiments.realistic.runs import UNTUNED, index_of, items_of
from experiments.realistic.setup import STUDY
from experiments.realistic.signals import COSTS
from experiments.realistic.splits import DEV_SETS
from shed.common.atomic_io import read_json, write_json, write_table
from shed.common.errors import ShedError
from shed.evaluation.comparison import MEASURES, compare, holm
from stages import command

DEFAULT = Path("experiments/realistic/rows-1000")
RESULTS, TABLE, PLAN = "results.json", "gains.csv", "plan.json"
RANDOM, SPLITS = "random", ("dev", "test")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.realistic.results", description="Write gains again from the items of runs that were made."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, help="of results (default: %(default)s)")
    write_results(parser.parse_args().folder)


def keep_plan(folder: Path, cells: Sequence[Cell]) -> list[Cell]:
    """Add cells to those that are planned in a folder of results; all of them, the earlier ones first."""
    every = list(dict.fromkeys([*planned(folder), *cells]))
    write_json(folder / PLAN, [[one.dev, one.method, one.share, one.seed] for one in every])
    return every


def planned(folder: Path) -> list[Cell]:
    """The cells that are planned in a folder of results."""
    path = folder / PLAN
    return [Cell(*one) for one in read_json(path)] if path.is_file() else []


def write_results(folder: Path) -> dict[str, Any]:
    """Compare all runs that are there, and write what came out.

    Raises:
        ShedError: the folder has no runs.
    """
    if not (folder / STUDY).is_file():
        raise ShedError(f"{folder}: holds no results; `python -m experiments.realistic.study WHERE` makes some")
    index, cells = index_of(folder), planned(folder)
    made = [cell for cell in cells if cell.name in index]
    tables = {
        dev: {split: _rows(gains(folder, cells_of(made, dev), dev, split)) for split in SPLITS}
        | {"by_task": _rows(by_task(folder, cells_of(made, dev)))}
        for dev in DEV_SETS
        if any(cell.dev == dev for cell in cells)
    }
    found = {
        "study": read_json(folder / STUDY),
        "untuned": _losses(folder) if UNTUNED in index else {},
        "runs_planned": len(cells),
        "runs_made": len(made),
        "missing": _missing(cells, made),
        "machines": sorted({f"{one['threads']} threads, bfloat16 {one['bfloat16']}" for one in index.values()}),
        "codes": len({one["code"] for one in index.values()}),
        "dev_sets": tables,
        "selected": _selected(made, index),
        "signals": read_json(folder / COSTS) if (folder / COSTS).is_file() else {},
        "run_processor_seconds": _seconds(made, index),
    }
    write_json(folder / RESULTS, found)
    flat = [
        {"dev_set": dev, "split": split, **row}
        for dev, of in tables.items()
        for split in (*SPLITS, "by_task")
        for row in of[split]
    ]
    write_table(folder / TABLE, pd.DataFrame(flat) if flat else pd.DataFrame(columns=["dev_set", "split"]))
    return found


def cells_of(cells: Iterable[Cell], dev: str) -> list[Cell]:
    """Those that a table of this dev set has: its own, and those that know of none."""
    return [cell for cell in cells if cell.dev == dev or not of_dev(cell.method, dev)]


def gains(folder: Path, cells: Sequence[Cell], dev: str, split: str) -> pd.DataFrame:
    """As `shed.evaluation.comparison.compare`, against as many random rows; of `dev` the sources of the dev set alone.

    A method whose seeds are not all there is compared under those that it shares with random rows; the whole pool has no gain.
    """
    sources = [f"dev_{source}" for source in DEV_SETS[dev]]
    items = _items(folder, cells)
    if items.empty:
        return pd.DataFrame()
    return _paired(items[items["task"].isin(sources)] if split == "dev" else items, split)


def by_task(folder: Path, cells: Sequence[Cell]) -> pd.DataFrame:
    """As `compare_by_task`, of test, under the seeds that a method shares with random rows."""
    items = _items(folder, cells)
    if items.empty:
        return pd.DataFrame()
    tasks = sorted(task for task in items["task"].unique() if task.startswith("test_"))
    tables = [_paired(items[items["task"] == task], "test").assign(task=task.removeprefix("test_")) for task in tasks]
    return pd.concat(tables, ignore_index=True)


def _paired(items: pd.DataFrame, split: str) -> pd.DataFrame:
    rows: list[pd.DataFrame] = []
    for _, at_share in items.groupby("fraction"):
        control = at_share[at_share["method"] == RANDOM]
        for method, own in at_share.groupby("method"):
            seeds = set(own["seed"]) & set(control["seed"])
            pair = at_share[at_share["seed"].isin(seeds)] if seeds else own
            pair = pair[pair["method"].isin([method, RANDOM])] if seeds else pair
            table = compare(pair, split, RANDOM)
            rows.append(table[table["method"] == method])
    found = pd.concat(rows, ignore_index=True)
    for measure in MEASURES:
        if f"{measure}_p" in found:
            found[f"{measure}_p_holm"] = found.groupby("fraction")[f"{measure}_p"].transform(holm)
    best = next(measure for measure in MEASURES if measure in found)
    return found.sort_values(["fraction", best], ascending=[True, best == "loss"], ignore_index=True)


def _items(folder: Path, cells: Sequence[Cell]) -> pd.DataFrame:
    parts = [items_of(folder, one.name).assign(method=one.method, fraction=one.share, seed=one.seed) for one in cells]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _losses(folder: Path) -> dict[str, dict[str, float]]:
    """Of the untuned model: nats a response token, and the share of answers that are right, by task."""
    found: dict[str, dict[str, float]] = {}
    for task, own in items_of(folder, UNTUNED).groupby("task"):
        written = own["written"].dropna()
        values = {"loss": float(own["nats"].sum() / own["tokens"].sum())} if own["nats"].notna().any() else {}
        found[str(task)] = values | ({"exact_match": float(written.mean())} if len(written) else {})
    return found


def _missing(cells: Sequence[Cell], made: Sequence[Cell]) -> list[str]:
    """The planned methods without all of their runs, as `mixture.top-0.1: 1 of 3`."""
    counts: dict[str, list[int]] = {}
    there = set(made)
    for one in cells:
        count = counts.setdefault(one.name.rpartition("-")[0], [0, 0])
        count[0] += one in there
        count[1] += 1
    return [f"{name}: {done} of {every}" for name, (done, every) in counts.items() if done < every]


def _selected(made: Sequence[Cell], index: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By `DEV.METHOD-SHARE`: the mean response tokens of a row, and the rows of each source, of the run with the first seed."""
    found: dict[str, dict[str, Any]] = {}
    for one in made:
        own = index[one.name]
        about = {"rows": own["rows"], "response_tokens_mean": own["response_tokens"] / own["rows"], "sources": own["sources"]}
        found.setdefault(one.name.rpartition("-")[0], about)
    return found


def _seconds(made: Sequence[Cell], index: dict[str, dict[str, Any]]) -> dict[str, float]:
    """By share: processor seconds of a run, on average; of untuned: of an evaluation."""
    found: dict[str, list[float]] = {}
    for one in made:
        own = index[one.name]
        if "processor_seconds" in own and "same_as" not in own:
            found.setdefault(f"{one.share:g}", []).append(own["processor_seconds"])
    means = {share: sum(own) / len(own) for share, own in found.items()}
    evaluating = index.get(UNTUNED, {}).get("processor_seconds")
    return means if evaluating is None else {UNTUNED: evaluating, **means}


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records"))
    return rows


if __name__ == "__main__":
    command(main)
