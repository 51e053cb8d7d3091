"""Evaluate the tuned model, and its paired difference to the base model; with `--base` the base model itself, once for all
experiments that share it, its records and the evaluation's params.
"""

import sys
from pathlib import Path

import pandas as pd

from shed.common.atomic_io import write_json, write_table
from shed.data.records import read_records
from shed.evaluation.generation import Writing
from shed.evaluation.lm_evaluation import evaluate
from shed.evaluation.summaries import differences, headline, summarise
from shed.params import Params
from stages import main
from stages.shared.model import model_spec


def run_base(params: Params) -> None:
    items = items_of(params, None)
    write_table("data/base_items.parquet", items)
    write_json("metrics/base.json", headline(summarise(items)))


def run(params: Params) -> None:
    items = items_of(params, Path("data/adapter"))
    base = pd.read_parquet("data/base_items.parquet")
    tasks = {"base": summarise(base), "tuned": summarise(items), "change": differences(items, base)}
    write_json("metrics/tasks.json", tasks)
    write_json("metrics/tuned.json", headline(tasks["tuned"]))
    write_json("metrics/change.json", headline(tasks["change"]))


def items_of(params: Params, adapter: Path | None) -> pd.DataFrame:
    """The evaluated items of dev, test and named tasks."""
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    settings = params.evaluate
    writing = Writing(**settings.written.model_dump())
    return evaluate(model_spec(params), adapter, splits, settings.limit, settings.batch_size, settings.tasks, writing)


if __name__ == "__main__":
    main(run_base if sys.argv[1:] == ["--base"] else run)
