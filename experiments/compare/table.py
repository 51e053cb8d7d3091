"""Table: every method against random rows of the same number, on dev and on test, from the items of all runs."""

import pandas as pd

from experiments.compare.settings import load_settings, runs
from shed.comparison import compare
from shed.files import write_table
from shed.params import Params
from stages import main


def run(_: Params) -> None:
    settings = load_settings()
    items = pd.concat(
        pd.read_parquet(f"experiments/compare/runs/{one.name}.parquet").assign(
            method=one.method, fraction=one.fraction, seed=one.seed
        )
        for one in runs(settings)
    )
    for split in ("dev", "test"):
        write_table(f"experiments/compare/{split}.csv", compare(items, split, "random", settings.bootstrap_seed))


if __name__ == "__main__":
    main(run)
