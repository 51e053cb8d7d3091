"""One run: its rows are tuned on under its seed, and the model is evaluated.

Usage: python -m experiments.compare.run NAME
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from experiments.compare.settings import PATH
from shed.common.errors import ShedError
from shed.evaluation.lm_evaluation import evaluate
from shed.common.atomic_io import write_table
from shed.tuning.finetuning import TuningSettings, finetune
from shed.params import Params
from shed.data.records import read_records
from stages import main


def run(params: Params) -> None:
    name = " ".join(sys.argv[1:])
    path = Path(f"experiments/compare/selections/{name}.parquet")
    if not path.exists():
        raise ShedError(f"{path}: no such file; a run is METHOD-SHARE-SEED, of those in {PATH}")
    selection = pd.read_parquet(path)
    pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
    model, settings = params.model, params.finetune.model_dump() | {"seed": int(selection["seed"].iloc[0])}
    with TemporaryDirectory() as folder:
        adapter = Path(folder) / "adapter"
        finetune(
            [pool[id] for id in selection["id"]],
            model.name,
            model.prompt,
            model.max_tokens,
            TuningSettings(**settings),
            adapter,
            name,
        )
        items = evaluate(
            model.name,
            adapter,
            {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")},
            model.prompt,
            model.max_tokens,
            params.evaluate.limit,
            params.evaluate.batch_size,
            params.evaluate.tasks,
        )
    write_table(f"experiments/compare/runs/{name}.parquet", items)


if __name__ == "__main__":
    main(run)
