"""Which of several selections is best? All of them and random rows, tuned and evaluated under the same seeds.

In: `python -m experiments.referee [NAME=]FILE …`, files as `sample.given` takes them, after `dvc repro`. Out: printed tables of
test and dev: gains over random rows of the same budget, and over the first file's rows; with `--json FILE` a file of these
gains, and of those on each task. Runs go through the verdict's ledger of runs, so that those of the verdict, and of an earlier
call, cost nothing.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.compare.table import markdown
from shed.common.atomic_io import write_json
from shed.common.errors import ShedError
from shed.common.progress import track
from shed.data.records import Record, read_records
from shed.evaluation.comparison import compare, compare_by_task
from shed.params import Params, load_params
from shed.selection.controls import random_tokens
from shed.selection.given.order import select_given
from stages import FINAL_TUNING, KEYS, naming_keys
from stages.shared.candidates import read_candidates
from stages.shared.runs import run_ledger
from stages.shared.selecting import given_order, sample_size
from stages.shared.settings.model import model_spec

RANDOM, SPLITS = "random_rows", ("test", "dev")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.referee",
        description="Compare selections with random rows and with each other, each tuned and evaluated under several seeds.",
    )
    parser.add_argument("files", nargs="+", metavar="[NAME=]FILE", help="ids, rows or scores, as sample.given takes them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the gains on all tasks and on each to this file, too")
    parser.add_argument("--limit", type=_count, metavar="N", help="questions of each task (default: evaluate.limit of params)")
    parser.add_argument("--seeds", type=_count, metavar="N", help="runs of each selection, at least 3 (default: verdict.seeds)")
    asked = parser.parse_args()
    files = named(asked.files)
    items = items_of(changed(load_params(), asked.limit, asked.seeds), files)
    references = [RANDOM, *list(files)[:1]] if len(files) > 1 else [RANDOM]
    for split in SPLITS:
        for reference in references:
            print(f"\n{split}: gains over {reference} [95 %], p by Holm\n")
            print(markdown(compare(items, split, reference)))
    if asked.json is not None:
        write_json(asked.json, gains(items, references))


def _count(text: str) -> int:
    """A number from 1 on."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


_count.__name__ = "number of at least 1"  # what argparse calls it


def changed(params: Params, limit: int | None, seeds: int | None) -> Params:
    """Params with another number of questions, or of seeds, where one is given."""
    if limit is not None:
        params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"limit": limit})})
    if seeds is not None:
        params = params.model_copy(update={"verdict": params.verdict.model_copy(update={"seeds": seeds})})
    return params


def named(files: Sequence[str]) -> dict[str, Path]:
    """The files by the names that they are given, or else by their own without endings.

    Raises:
        ShedError: two have the same, or one that of the random rows.
    """
    found: dict[str, Path] = {}
    for text in files:
        name, given, file = text.partition("=")
        if not given or Path(text).exists():
            name, file = Path(text).stem, text
        if name in found or name in (RANDOM, ""):
            raise ShedError(f"{text}: each selection needs a name of its own, other than {RANDOM}; give it as NAME=FILE")
        found[name] = Path(file)
    return found


def gains(items: pd.DataFrame, references: Sequence[str]) -> dict[str, Any]:
    """The rows of `compare` and of `compare_by_task`, by split and by reference."""

    def rows(table: pd.DataFrame) -> Any:
        return json.loads(table.to_json(orient="records"))

    asked = items[["task", "id"]].drop_duplicates()
    return {
        "seeds": int(items["seed"].nunique()),
        "items": {split: int(asked["task"].str.startswith(f"{split}_").sum()) for split in SPLITS},
        "all_tasks": {split: {one: rows(compare(items, split, one)) for one in references} for split in SPLITS},
        "by_task": {split: {one: rows(compare_by_task(items, split, one)) for one in references} for split in SPLITS},
    }


def items_of(params: Params, files: dict[str, Path]) -> pd.DataFrame:
    """The items of all runs, with `method`, `fraction` and `seed`.

    Raises:
        ShedError: a file is no selection of this pool, or the params ask for no seeds.
    """
    if not params.verdict.seeds:
        raise ShedError("nothing is compared under no seeds; set verdict.seeds to at least 3")
    pool = read_records("data/prepared/pool.jsonl")
    table, scores = read_candidates(params), pd.read_parquet("data/scores.parquet")
    size, by_id = sample_size(params, table), {record.id: record for record in pool}
    selections: dict[str, list[Record]] = {}
    for name, file in files.items():
        order = given_order(params, str(file), pool)
        selections[name] = [by_id[id] for id in select_given(order, table, scores, size)["id"]]
    candidates, costs = [by_id[id] for id in table["id"]], size.costs(table)
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    ledger = run_ledger(params, model_spec(params), splits, params.evaluate.tasks)
    seeds = range(1, params.verdict.seeds + 1)
    runs = [(RANDOM, seed, random_tokens(candidates, costs, size.amount, seed)) for seed in seeds]  # or rows, which cost 1
    runs += [(name, seed, own) for name, own in selections.items() for seed in seeds]
    with naming_keys(FINAL_TUNING):
        items = [
            ledger.items(own, seed).assign(method=name, fraction=size.amount / costs.sum(), seed=seed)
            for name, seed, own in track(runs, "tuning and evaluating", "run")
        ]
    return pd.concat(items, ignore_index=True)


if __name__ == "__main__":
    try:
        with naming_keys({setting: key for setting, key in KEYS.items() if setting != "given selection"}):
            main()  # files are named by the command
    except ShedError as problem:
        sys.exit(f"shed: error: {problem}")
