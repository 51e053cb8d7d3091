"""Export: the selected rows in the forms that trainers read, with their configs and a card; the merged model on request."""

from pathlib import Path

import pandas as pd

from shed.common.atomic_io import read_json, write_json
from shed.data.exports.card import CardFacts
from shed.data.exports.folder import export, export_rows
from shed.data.exports.trainers import TrainerSettings
from shed.data.records import read_records
from shed.params import Params
from shed.tuning.merging import merge
from stages import main
from stages.shared.settings.model import model_spec

FOLDER = Path("data/export")


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    selection = pd.read_parquet("data/selection.parquet")
    selection = selection.merge(pd.read_parquet("data/ratings.parquet"), on="id", how="left", validate="one_to_one")
    facts = CardFacts(
        name="Selected rows",
        about=f"sampler {params.sampler}",
        pool_rows=len(pool),
        licences=read_json("metrics/data.json")["pool"]["licences"],
        plain_prompts=params.model.prompt == "plain",
    )
    rows = export_rows(pool, selection)
    counts = export(rows, FOLDER, params.export.forms, facts, trainer_settings(params), params.data.reading.train_on)
    if params.export.merged:
        spec = model_spec(params)
        merge(spec.where, Path("data/adapter"), FOLDER / "merged", spec.revision)
    told = {form: {"rows": own.rows, "left_out": dict(own.left_out)} for form, own in counts.items()}
    write_json("metrics/export.json", told)


def trainer_settings(params: Params) -> TrainerSettings:
    """The final tuning, as the configs of other trainers have it."""
    final = params.finetune
    return TrainerSettings(
        model=params.model.name,
        r=final.r,
        alpha=final.alpha,
        modules=final.modules,
        lr=final.lr,
        warmup_ratio=final.warmup_ratio,
        batch_size=final.batch_size,
        epochs=final.epochs,
        seed=final.seed,
        max_tokens=params.model.max_tokens,
    )


if __name__ == "__main__":
    main(run)
