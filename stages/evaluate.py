"""Evaluate the tuned model, and its paired difference to the base model; with `--base` the base model itself, once for all
experiments that share it, its records and the evaluation's params.
"""

import sys
from pathlib import Path

import pandas as pd

from shed.common.atomic_io import write_json, write_table
from shed.data.records import read_records
from shed.evaluation.run_ledger import RunLedger
from shed.evaluation.summaries import differences, headline, summarise
from shed.params import Params
from stages import main
from stages.shared.model import model_spec
from stages.shared.runs import run_ledger


def run_base(params: Params) -> None:
    items = ledger_of(params).items([], params.finetune.seed)
    write_table("data/base_items.parquet", items)
    write_json("metrics/base.json", headline(summarise(items)))


def run(params: Params) -> None:
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
    rows = [pool[id] for id in pd.read_parquet("data/selection.parquet")["id"]]
    items = ledger_of(params).items(rows, params.finetune.seed, tuned=Path("data/adapter"))
    base = pd.read_parquet("data/base_items.parquet")
    tasks = {"base": summarise(base), "tuned": summarise(items), "change": differences(items, base)}
    write_json("metrics/tasks.json", tasks)
    write_json("metrics/tuned.json", headline(tasks["tuned"]))
    write_json("metrics/change.json", headline(tasks["change"]))


def ledger_of(params: Params) -> RunLedger:
    """The verdict's ledger of runs, which has this run or gets it."""
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    return run_ledger(params, model_spec(params), splits, params.evaluate.tasks)


if __name__ == "__main__":
    main(run_base if sys.argv[1:] == ["--base"] else run)
