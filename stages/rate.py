"""Rate: what one more of each pool record would add to a model that was tuned on random ones."""

import os
from pathlib import Path

import pandas as pd

from shed.common.atomic_io import read_json, write_json, write_table
from shed.data.records import RecordFile, read_records
from shed.params import Params
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.ratings import rate
from stages import main
from stages.shared.settings.dev_tasks import dev_tasks
from stages.shared.settings.engine import engine_of
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime
from stages.shared.took import keep_seconds

KEPT = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "ratings"  # DVC_ROOT: shared by experiments in copies


def run(params: Params) -> None:
    pool, settings = RecordFile("data/prepared/pool.jsonl"), params.rate
    if not settings.warm_rows:
        write_table("data/ratings.parquet", pd.DataFrame({"id": pd.Series(dtype=str), "rating": pd.Series(dtype=float)}))
        write_json("metrics/rate.json", {"rated": 0})
        return
    dev = read_records("data/prepared/dev.jsonl")[: settings.dev_rows]
    kept = RatedBlocks(KEPT, {"model": read_json("data/model.json")})
    regime = scoring_regime(params, settings.seed)
    of = (*dev_tasks(), settings.screen, engine_of(params), settings.method)
    rated = rate(pool, dev, model_spec(params), settings.utility, regime, settings.warm_rows, kept, *of)
    write_table("data/ratings.parquet", pd.DataFrame({"id": rated.ids, "rating": rated.ratings}))
    metrics = dict(rated.metrics)
    keep_seconds("rate", float(metrics.pop("seconds")))
    write_json("metrics/rate.json", metrics)


if __name__ == "__main__":
    main(run)
