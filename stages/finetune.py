"""Finetune: a LoRA adapter of the base model, tuned on the selected rows."""

from pathlib import Path

import pandas as pd

from shed.files import write_json, write_table
from shed.finetuning import TuningSettings, finetune
from shed.params import Params
from shed.records import read_records
from stages import main


def run(params: Params) -> None:
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
    selection = pd.read_parquet("data/selection.parquet")
    reasons = selection["reason"].unique()
    tuned = finetune(
        [pool[id] for id in selection["id"]],
        params.model.name,
        params.model.prompt,
        params.model.max_tokens,
        TuningSettings(**params.finetune.model_dump()),
        Path("data/adapter"),
        "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more reasons" if len(reasons) > 5 else ""),
    )
    write_table("metrics/plots/loss.csv", tuned.losses)
    write_json("metrics/finetune.json", tuned.metrics)


if __name__ == "__main__":
    main(run)
