"""Rate: what one more of each pool record would add to a model that was tuned on random ones."""

import pandas as pd

from shed.files import write_json, write_table
from shed.params import Params
from shed.rating import rate
from shed.records import read_records
from shed.valuation.training import Regime
from stages import main


def run(params: Params) -> None:
    settings, model = params.rate, params.model
    pool = read_records("data/prepared/pool.jsonl")
    if not settings.warm_rows:
        write_table("data/ratings.parquet", pd.DataFrame({"id": pd.Series(dtype=str), "rating": pd.Series(dtype=float)}))
        write_json("metrics/rate.json", {"rated": 0})
        return
    rated = rate(
        pool,
        read_records("data/prepared/dev.jsonl")[: settings.dev_rows],
        model.name,
        model.prompt,
        model.max_tokens,
        settings.utility,
        Regime(**params.score.tuning.model_dump(), seed=settings.seed),
        settings.warm_rows,
    )
    write_table("data/ratings.parquet", pd.DataFrame({"id": [record.id for record in pool], "rating": rated.ratings}))
    write_json("metrics/rate.json", rated.metrics)


if __name__ == "__main__":
    main(run)
