"""Rate: what one more of each pool record would add to a model that was tuned on random ones."""

import pandas as pd

from shed.common.atomic_io import write_json, write_table
from shed.data.records import read_records
from shed.params import Params
from shed.valuation.ratings import rate
from stages import main
from stages.shared.model import model_spec
from stages.shared.regime import scoring_regime


def run(params: Params) -> None:
    pool, settings = read_records("data/prepared/pool.jsonl"), params.rate
    if not settings.warm_rows:
        write_table("data/ratings.parquet", pd.DataFrame({"id": pd.Series(dtype=str), "rating": pd.Series(dtype=float)}))
        write_json("metrics/rate.json", {"rated": 0})
        return
    dev = read_records("data/prepared/dev.jsonl")[: settings.dev_rows]
    rated = rate(pool, dev, model_spec(params), settings.utility, scoring_regime(params, settings.seed), settings.warm_rows)
    write_table("data/ratings.parquet", pd.DataFrame({"id": [record.id for record in pool], "rating": rated.ratings}))
    write_json("metrics/rate.json", rated.metrics)


if __name__ == "__main__":
    main(run)
