"""Finetune: a LoRA adapter of the base model, tuned on the selected rows."""

from pathlib import Path

import pandas as pd

from shed.common.atomic_io import write_json, write_table
from shed.data.records import read_records
from shed.params import Params
from shed.tuning.finetuning import finetune
from stages import FINAL_TUNING, main, naming_keys
from stages.shared.settings.model import model_spec
from stages.shared.settings.tracking import tracking
from stages.shared.settings.tuning import tuning_settings


def run(params: Params) -> None:
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
    selection = pd.read_parquet("data/selection.parquet")
    reasons = selection["reason"].unique()
    with naming_keys(FINAL_TUNING):
        tuned = finetune(
            [pool[id] for id in selection["id"]],
            model_spec(params),
            tuning_settings(params, params.finetune.seed),
            Path("data/adapter"),
            "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more reasons" if len(reasons) > 5 else ""),
            tracking(params.tracking, params.model, params.finetune, "data/selection.parquet"),
        )
    write_table("metrics/plots/loss.csv", tuned.losses)
    write_json("metrics/finetune.json", tuned.metrics)


if __name__ == "__main__":
    main(run)
