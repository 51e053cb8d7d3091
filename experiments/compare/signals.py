"""Signals: for each pool record a column for each way to rate it without tuning, and the seconds that each took."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from shed.baselines import bm25, importance
from shed.coverage import k_centre
from shed.embedding import embed
from shed.errors import ShedError
from shed.files import read_array, write_json, write_table
from shed.params import Params
from shed.reading import nearest_rank, read
from shed.records import read_records
from shed.valuation.budget import Budget, spend
from shed.valuation.in_run import InRun
from stages import main
from stages.proxy_game import scoring_game


def run(params: Params) -> None:
    pool = read_records("data/prepared/pool.jsonl")
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    embeddings = read_array("data/embeddings.npy")
    model = params.model
    seconds: dict[str, float] = {}

    def timed(name: str, rate: Callable[[], np.ndarray]) -> np.ndarray:
        began = time.perf_counter()
        rated = rate()
        seconds[name] = time.perf_counter() - began
        return rated

    began = time.perf_counter()
    reading = read(pool, model.name, model.prompt, model.max_tokens)
    asked = read(dev, model.name, model.prompt, model.max_tokens)
    of_reading = time.perf_counter() - began
    signals = {
        "longest": timed("longest", lambda: np.array([float(len(record.response)) for record in pool])),
        "bm25": timed("bm25", lambda: bm25(pool, dev)),
        "importance": timed("importance", lambda: importance(pool, dev)),
        "cosine": timed(
            "cosine", lambda: (embeddings @ embed(dev, params.embed.model, params.embed.batch_size).T).mean(axis=1)
        ),
        "k_centre": timed("k_centre", lambda: k_centre(embeddings, params.cluster.seed)),
        "rds": timed("rds", lambda: nearest_rank(reading.states, asked.states)),
        "ifd": timed("ifd", lambda: np.where(reading.ifd < 1, reading.ifd, -reading.ifd)),
        "in_run": timed("in_run", lambda: along_a_run(params)),
    }
    seconds = {name: took + (of_reading if name in ("rds", "ifd") else 0.0) for name, took in seconds.items()}
    write_table("experiments/compare/signals.parquet", pd.DataFrame({"id": [record.id for record in pool], **signals}))
    write_json("experiments/compare/signals.json", {f"{name}_seconds": took for name, took in seconds.items()})


def along_a_run(params: Params) -> np.ndarray:
    """(N,) the first-order effect of every pool record along the tuning on all proxies."""
    clusters = pd.read_parquet("data/clusters.parquet")
    rated = np.empty(len(clusters))
    with scoring_game(params, clusters.assign(bystander=~clusters["proxy"])) as game:
        if params.score.utility == "accuracy":
            raise ShedError("score.utility accuracy has no gradient, which the signal in_run is made of; use choice_loss")
        estimate = spend(InRun(), game.play, Budget()).estimate
        place = {id: i for i, id in enumerate(clusters["id"])}
        rated[[place[proxy.id] for proxy in game.proxies]] = estimate.records
    rated[~clusters["proxy"].to_numpy()] = estimate.bystanders
    return rated


if __name__ == "__main__":
    main(run)
