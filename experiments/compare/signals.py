"""Signals: for each pool record a column for each way to rate it without tuning, and the seconds that each took."""

import time

import numpy as np
import pandas as pd

from shed.errors import ShedError
from shed.files import read_array, write_json, write_table
from shed.marginals import of_all_records
from shed.params import Params
from shed.ratings import untuned
from shed.reading import read
from shed.records import read_records
from shed.valuation.budget import Budget
from shed.valuation.estimate import Estimator
from shed.valuation.in_run import InRun
from shed.valuation.metagradient import Metagradient
from stages import main
from stages.proxy_game import scoring_game


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    embeddings = read_array("data/embeddings.npy")
    model = params.model
    began = time.perf_counter()
    reading = read(pool, model.name, model.prompt, model.max_tokens)
    asked = read(dev, model.name, model.prompt, model.max_tokens)
    of_reading = time.perf_counter() - began
    pair = Metagradient(params.score.seed, check=False, redraw=True)
    ways = untuned(
        pool, dev, embeddings, (params.embed.model, params.embed.batch_size), reading, asked, params.cluster.seed
    ) | {
        "in_run": lambda: marginals(params, InRun(), Budget()),
        "metagradient": lambda: marginals(params, pair, Budget(evaluations=4)),
    }
    signals, seconds = {}, {}
    for name, rate in ways.items():
        began = time.perf_counter()
        signals[name] = rate()
        seconds[name] = time.perf_counter() - began
    seconds = {name: took + (of_reading if name in ("rds", "ifd") else 0.0) for name, took in seconds.items()}
    write_table("experiments/compare/signals.parquet", pd.DataFrame({"id": [record.id for record in pool], **signals}))
    write_json("experiments/compare/signals.json", {f"{name}_seconds": took for name, took in seconds.items()})


def marginals(params: Params, estimator: Estimator, budget: Budget) -> np.ndarray:
    """(N,) every pool record's marginal, in the scoring regime."""
    if params.score.utility == "accuracy":
        raise ShedError("score.utility accuracy has no gradient, which in_run and metagradient rest on; use choice_loss")
    clusters = pd.read_parquet("data/clusters.parquet")
    with scoring_game(params, clusters.assign(bystander=~clusters["proxy"])) as game:
        return of_all_records(game, clusters, estimator, budget)


if __name__ == "__main__":
    main(run)
