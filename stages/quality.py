"""Quality: how each pool record's response fits its prompt; nothing is judged where it is not asked for."""

import os
from pathlib import Path

import pandas as pd

from shed.common.atomic_io import read_json, write_json, write_table
from shed.data.records import RecordFile
from shed.params import Params
from shed.selection.quality.of_records import prompt_fit_of, summary
from stages import main
from stages.shared.settings.embedder import embedder_spec
from stages.shared.settings.engine import engine_of

KEPT = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "embeddings"  # DVC_ROOT: shared by experiments in copies


def run(params: Params) -> None:
    table = pd.DataFrame({"id": pd.Series(dtype=str), "prompt_fit": pd.Series(dtype=float)})
    if params.quality.prompt_fit:
        pool, manifest = RecordFile("data/prepared/pool.jsonl"), read_json("data/embedder.json")
        fits = prompt_fit_of(pool, embedder_spec(params), manifest, KEPT, params.data.seed, engine_of(params))
        table = pd.DataFrame({"id": [record.id for record in pool], "prompt_fit": fits})
    write_table("data/quality.parquet", table)
    write_json("metrics/quality.json", summary(table["prompt_fit"].to_numpy()))


if __name__ == "__main__":
    main(run)
