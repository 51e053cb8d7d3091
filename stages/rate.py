"""Rate: what one more of each pool record would add to a model that was tuned on random ones."""

from collections.abc import Sequence

import pandas as pd

from shed.files import write_json, write_table
from shed.params import Params
from shed.rating import Rated, rate
from shed.records import Record, read_records
from shed.valuation.training import Regime
from stages import main


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    if not params.rate.warm_rows:
        write_table("data/ratings.parquet", pd.DataFrame({"id": pd.Series(dtype=str), "rating": pd.Series(dtype=float)}))
        write_json("metrics/rate.json", {"rated": 0})
        return
    rated = rate_as_asked(params, pool, read_records("data/prepared/dev.jsonl")[: params.rate.dev_rows])
    write_table("data/ratings.parquet", pd.DataFrame({"id": [record.id for record in pool], "rating": rated.ratings}))
    write_json("metrics/rate.json", rated.metrics)


def rate_as_asked(params: Params, pool: Sequence[Record], dev: Sequence[Record]) -> Rated:
    """Ratings of any pool by any dev set, with the model and in the regime of params."""
    settings, model = params.rate, params.model
    regime = Regime(**params.score.tuning.model_dump(), seed=settings.seed)
    return rate(pool, dev, model.name, model.prompt, model.max_tokens, settings.utility, regime, settings.warm_rows)


if __name__ == "__main__":
    main(run)
