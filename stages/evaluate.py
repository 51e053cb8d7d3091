"""Evaluate the tuned model, and its paired difference to the base model. The verdict's ledger keeps this run, or has it."""

from pathlib import Path

import pandas as pd

from shed.common.atomic_io import write_json
from shed.data.records import read_records
from shed.evaluation.summaries import differences, headline, summarise
from shed.params import Params
from stages import main
from stages.shared.runs import run_ledger
from stages.shared.settings.model import model_spec


def run(params: Params) -> None:
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
    rows = [pool[id] for id in pd.read_parquet("data/selection.parquet")["id"]]
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    ledger = run_ledger(params, model_spec(params), splits, params.evaluate.tasks)
    items = ledger.items(rows, params.finetune.seed, tuned=Path("data/adapter"))
    base = pd.read_parquet("data/base_items.parquet")
    tasks = {"base": summarise(base), "tuned": summarise(items), "change": differences(items, base)}
    write_json("metrics/tasks.json", tasks)
    write_json("metrics/tuned.json", headline(tasks["tuned"]))
    write_json("metrics/change.json", headline(tasks["change"]))


if __name__ == "__main__":
    main(run)
