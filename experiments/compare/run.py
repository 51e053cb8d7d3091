"""One run: a model is tuned on its rows under its seed, and evaluated.

In: the name of a run, `python -m experiments.compare.run NAME`, and its selection. Out: a row for each evaluated item.
"""

import sys
from pathlib import Path

import pandas as pd

from experiments.compare.settings import PATH
from experiments.shared.runs import tuned_items
from shed.common.atomic_io import write_table
from shed.common.errors import ShedError
from shed.data.records import read_records
from shed.params import Params
from stages import main
from stages.shared.settings.model import model_spec


def run(params: Params) -> None:
    name = " ".join(sys.argv[1:])
    path = Path(f"experiments/compare/selections/{name}.parquet")
    if not path.exists():
        raise ShedError(f"{path}: no such file; a run is METHOD-SHARE-SEED, of those in {PATH}")
    selection = pd.read_parquet(path)
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in ("dev", "test")}
    ids, seed = selection["id"].tolist(), int(selection["seed"].iloc[0])
    items = tuned_items(params, model_spec(params), ids, seed, splits, params.evaluate.tasks)
    write_table(f"experiments/compare/runs/{name}.parquet", items)


if __name__ == "__main__":
    main(run)
