"""Which of several selections is best? All of them and random rows, tuned and evaluated under the same seeds.

In: `python -m experiments.referee FILE [FILE ...]`, files as `sample.given` takes them, after `dvc repro`. Out: printed tables
of test and dev: gains over random rows of the same number, and over the first file's rows. Runs go through the verdict's
ledger of runs, so that those of the verdict, and of an earlier call, cost nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.compare.table import markdown
from shed.common.errors import ShedError
from shed.common.progress import track
from shed.data.records import Record, read_records
from shed.evaluation.comparison import compare
from shed.params import Params, load_params
from shed.selection.controls import random_rows
from shed.selection.given import order_of, select_given
from shed.selection.given_files import given_file, read_given
from shed.selection.sampling import budget
from stages import FINAL_TUNING, KEYS, naming_keys
from stages.shared.model import model_spec
from stages.shared.reading import reader_settings
from stages.shared.runs import run_ledger

RANDOM = "random_rows"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.referee",
        description="Compare selections with random rows and with each other, each tuned and evaluated under several seeds.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="ids, rows or scores, as sample.given takes them")
    files = parser.parse_args().files
    params = load_params()
    items = items_of(params, named(files))
    for split in ("test", "dev"):
        for reference in dict.fromkeys((RANDOM, files[0].stem)) if len(files) > 1 else (RANDOM,):
            print(f"\n{split}: gains over {reference} [95 %], p by Holm\n")
            print(markdown(compare(items, split, reference)))


def named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by their names without endings.

    Raises:
        ShedError: two have the same.
    """
    found = {file.stem: file for file in files if file.stem != RANDOM}
    if len(found) < len(files):
        raise ShedError(f"each selection is named by its file; give files other names, and none {RANDOM}")
    return found


def items_of(params: Params, files: dict[str, Path]) -> pd.DataFrame:
    """The items of all runs, with `method`, `fraction` and `seed`.

    Raises:
        ShedError: a file is no selection of this pool, or the params ask for no seeds.
    """
    if not params.verdict.seeds:
        raise ShedError("nothing is compared under no seeds; set verdict.seeds to at least 3")
    pool = read_records("data/prepared/pool.jsonl")
    clusters, scores = pd.read_parquet("data/clusters.parquet"), pd.read_parquet("data/scores.parquet")
    by_id = {record.id: record for record in pool}
    rows = budget(len(pool), params.sample.fraction, params.sample.rows)
    selections: dict[str, list[Record]] = {}
    for name, file in files.items():
        order = order_of(read_given(given_file(str(file)), reader_settings(params.data.reading)), pool)
        print(f"shed: {order.told()}", file=sys.stderr)
        selections[name] = [by_id[id] for id in select_given(order, clusters, scores, rows)["id"]]
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    ledger = run_ledger(params, model_spec(params), splits, params.evaluate.tasks)
    seeds = range(1, params.verdict.seeds + 1)
    runs = [(RANDOM, seed, random_rows(pool, rows, seed)) for seed in seeds]
    runs += [(name, seed, own) for name, own in selections.items() for seed in seeds]
    with naming_keys(FINAL_TUNING):
        items = [
            ledger.items(own, seed).assign(method=name, fraction=rows / len(pool), seed=seed)
            for name, seed, own in track(runs, "tuning and evaluating", "run")
        ]
    return pd.concat(items, ignore_index=True)


if __name__ == "__main__":
    try:
        with naming_keys({setting: key for setting, key in KEYS.items() if setting != "given selection"}):
            main()  # files are named by the command
    except ShedError as problem:
        sys.exit(f"shed: error: {problem}")
