"""Evaluate the tuned model, and its paired difference to the base model."""

from pathlib import Path

import pandas as pd

from shed.evaluation import differences, evaluate, headline, summarise
from shed.files import write_json
from shed.params import Params
from shed.records import read_records
from stages import main


def run(params: Params) -> None:
    items = evaluate(
        params.model.name,
        Path("data/adapter"),
        {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")},
        params.model.prompt,
        params.model.max_tokens,
        params.evaluate.limit,
        params.evaluate.batch_size,
        params.evaluate.tasks,
    )
    base = pd.read_parquet("data/base_items.parquet")
    tasks = {"base": summarise(base), "tuned": summarise(items), "change": differences(items, base)}
    write_json("metrics/tasks.json", tasks)
    write_json("metrics/tuned.json", headline(tasks["tuned"]))
    write_json("metrics/change.json", headline(tasks["change"]))


if __name__ == "__main__":
    main(run)
