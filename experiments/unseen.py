"""Which selection is better on tasks that nobody has looked at? To decide on a default without a look at test.

In: `python -m experiments.unseen [METHOD | NAME=FILE …]` after `dvc repro`: methods as the comparison names them
(`top_by_length`), or files as `sample.given` takes them. Out: tables of dev and of five unseen tasks (see
`experiments.shared.unseen_tasks`), and unseen.json: gains over random rows, and over the first selection. Test is not read.

Dev records that ratings or scores were made by are not measured. All else is as the final model is tuned and evaluated, but
that nothing is written. Runs go through the verdict's ledger of runs, so that a study that was stopped goes on.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.compare.signals import marginals
from experiments.compare.table import markdown
from experiments.shared.by_ratings import F, scores_by_ratings
from experiments.shared.unseen_tasks import TASKS, unseen_records
from shed.common.atomic_io import write_json
from shed.common.errors import ShedError
from shed.common.progress import track
from shed.data.duplicates import prompt_key
from shed.data.records import Record, read_records
from shed.evaluation.comparison import FEWEST_SEEDS, compare, compare_by_task
from shed.models.checks import check_model
from shed.params import Params, load_params
from shed.selection.contenders import ON_ALL_TASKS, contend, method_of
from shed.selection.given.order import select_given
from shed.valuation.budget import Budget
from shed.valuation.estimators.in_run import InRun
from stages import FINAL_TUNING, command, naming_keys
from stages.shared.candidates import read_candidates
from stages.shared.runs import run_ledger
from stages.shared.selecting import given_order, sample_size
from stages.shared.settings.model import model_spec

RESULT, RANDOM, SPLITS = Path("experiments/selection/unseen.json"), "random", ("dev", "unseen")
DEFAULT = ("top", "top_by_length", "in_run", "in_run_by_length")
METHODS = (
    "random, top, qocs, qwcs and in_run, with endings as in the comparison: _on_shapley, _on_random_scores, _within_rating, "
    "_within_nearest, _within_random, _by_source, _by_length, _by_source_and_length"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.unseen",
        description=f"Compare selections with random rows on dev and on {', '.join(TASKS)}, after `dvc repro`. Each selection "
        "is tuned on and evaluated once for each seed, and random rows are, too; runs that were made are not made again.",
    )
    parser.add_argument(
        "selections", nargs="*", default=DEFAULT, metavar="METHOD | NAME=FILE", help=f"{METHODS} (default: {' '.join(DEFAULT)})"
    )
    parser.add_argument("--seeds", type=int, default=3, help="under how many seeds, at least 3 (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=100, help="questions of each task, and of dev (default: %(default)s)")
    parser.add_argument(
        "--json", type=Path, default=RESULT, metavar="FILE", help="where gains are written (default: %(default)s)"
    )
    asked = parser.parse_args()
    found = study(load_params(), asked.selections, asked.seeds, asked.limit)
    write_json(asked.json, found)


def study(params: Params, names: Sequence[str], seeds: int, limit: int) -> dict[str, Any]:
    """All selections and random rows, tuned and evaluated; tables of their gains are printed.

    Raises:
        ShedError: there are too few seeds or questions, a selection cannot be made, or ratings used all of dev.
    """
    if seeds < FEWEST_SEEDS or limit < 1:
        raise ShedError(
            f"--seeds is {seeds} and --limit {limit}; an interval needs at least {FEWEST_SEEDS} seeds, and a question"
        )
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")
    splits = measured_on(params, pool, dev, limit)
    numbers = range(1, seeds + 1)
    rows = selections(params, pool, [RANDOM, *dict.fromkeys(names)], numbers)
    silent = params.evaluate.written.model_copy(update={"limit": 0})
    evaluation = params.evaluate.model_copy(update={"limit": limit, "written": silent})
    ledger = run_ledger(params.model_copy(update={"evaluate": evaluation}), model_spec(params), splits, [])
    runs = [(name, seed, own) for name, of_seeds in rows.items() for seed, own in zip(numbers, of_seeds, strict=True)]
    made = sum(ledger.has(own, seed) for _, seed, own in runs)
    print(f"shed: {len(rows)} selections under {seeds} seeds: {len(runs)} runs, of which {made} are there", file=sys.stderr)
    with naming_keys(FINAL_TUNING):
        items = pd.concat(
            [
                ledger.items(own, seed).assign(method=name, fraction=len(own) / len(pool), seed=seed)
                for name, seed, own in track(runs, "tuning and evaluating", "run")
            ],
            ignore_index=True,
        )
    references = [RANDOM, *list(rows)[1:2]]
    for split in SPLITS:
        for reference in references:
            print(f"\n{split}: gains over {reference} [95 %], p by Holm\n")
            print(markdown(compare(items, split, reference)))
    return {
        "seeds": seeds,
        "items": items[items["seed"] == 1].groupby("task")["id"].nunique().to_dict(),
        "rows": {name: len(own[0]) for name, own in rows.items()},
        "all_tasks": {split: {one: _rows(compare(items, split, one)) for one in references} for split in SPLITS},
        "by_task": {split: {one: _rows(compare_by_task(items, split, one)) for one in references} for split in SPLITS},
    }


def measured_on(params: Params, pool: Sequence[Record], dev: Sequence[Record], limit: int) -> dict[str, list[Record]]:
    """The records to measure on: of dev those that nothing was selected by, and of the unseen tasks those that fit.

    Raises:
        ShedError: selections are made by all of dev.
    """
    rated = params.rate.dev_rows if params.rate.warm_rows else 0
    used = max((len(dev) if rows is None else rows) for rows in (rated, params.score.dev_rows))
    if used >= len(dev):
        raise ShedError(
            f"ratings and scores are made by all {len(dev)} records of dev; set rate.dev_rows and score.dev_rows to fewer"
        )
    known = {prompt_key(record) for record in (*pool, *dev)}
    return {"dev": list(dev[used:]), "unseen": unseen_records(limit, known, check_model(model_spec(params)))}


def selections(
    params: Params, pool: Sequence[Record], names: Sequence[str], seeds: Sequence[int]
) -> dict[str, list[list[Record]]]:
    """The rows of each selection under each seed.

    Args:
        names: methods as `shed.selection.contenders.contend` takes them, or NAME=FILE.

    Raises:
        ShedError: a method is unknown here, a file is no selection of this pool, or the budget is not of rows.
    """
    table, by_id = read_candidates(params), {record.id: record for record in pool}
    size, shapley = sample_size(params, table), pd.read_parquet("data/scores.parquet")
    if size.unit != "rows":
        raise ShedError(
            "selections are compared by a budget of rows; set sample.budget to rows, and sample.rows or sample.fraction"
        )
    methods = [name for name in names if "=" not in name]
    if unknown := [name for name in methods if method_of(name).on == ON_ALL_TASKS]:
        raise ShedError(f"{unknown[0]}: it is rated by records of test, which is not read here; leave it out")
    scores, signals = scores_by_ratings(table, shapley), signals_of(params, table, methods)
    found: dict[str, list[list[Record]]] = {}
    for name in names:
        if "=" in name:
            called, _, file = name.partition("=")
            if not called or called in found:
                raise ShedError(f"{name}: each selection needs a name of its own; give it as NAME=FILE")
            ids = select_given(given_order(params, file, pool), table, shapley, size)["id"]
            found[called] = [[by_id[id] for id in ids]] * len(seeds)
        else:
            drawn = (
                contend(name, table, scores, table["rating"], signals, size.amount, F, seed, params.sample.floor)
                for seed in seeds
            )
            found[name] = [[by_id[id] for id in ids] for ids in drawn]
    return found


def signals_of(params: Params, table: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """`id`, and `in_run` if a method takes rows by it; a row for each candidate."""
    found = pd.DataFrame({"id": table["id"]})
    if not any(method_of(name).takes == "in_run" for name in methods):
        return found
    values, _ = marginals(params, InRun(), Budget())
    of_pool: Mapping[str, float] = dict(zip(pd.read_parquet("data/clusters.parquet")["id"], np.asarray(values), strict=True))
    return found.assign(in_run=found["id"].map(of_pool))


def _rows(table: pd.DataFrame) -> Any:
    return json.loads(table.to_json(orient="records"))


if __name__ == "__main__":
    command(main)
