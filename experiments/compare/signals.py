"""Signals: the values by which single-row methods select, and what each method cost.

In: the pool, dev and the embeddings. Out: for each pool record a column for each method that is compared, and the costs in
FTE and seconds. `rds`, `rds_round_robin` and `ifd` rest on the untuned model's reading of all records, which is done once and
counted for each.
"""

import time
from functools import cache

import numpy as np
import pandas as pd

from experiments.compare.settings import load_settings, runs
from shed.common.atomic_io import read_array, write_json, write_table
from shed.common.errors import ShedError
from shed.data.records import read_records
from shed.params import Params
from shed.selection.contenders import method_of
from shed.selection.model_signals import ModelSignals, read
from shed.selection.signals import signals as untuned_signals
from shed.valuation.budget import Budget, Cost
from shed.valuation.estimate import Estimator
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.marginals import of_all_records
from stages import main
from stages.shared.games import scoring_game
from stages.shared.settings.embedder import embedder_spec
from stages.shared.settings.model import model_spec

READ = {"rds", "rds_round_robin", "ifd"}


def run(params: Params) -> None:
    asked_for = {method_of(one.method).takes for one in runs(load_settings())}
    pool = read_records("data/prepared/pool.jsonl")
    dev = read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    embedder = embedder_spec(params)
    signals: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    fte: dict[str, float] = {}

    @cache
    def readings() -> tuple[ModelSignals, ModelSignals]:
        spec, began = model_spec(params), time.perf_counter()
        found = read(pool, spec), read(dev, spec)
        seconds["reading"] = time.perf_counter() - began
        with scoring_game(params, pd.read_parquet("data/clusters.parquet")) as game:
            fte["reading"] = sum(one.tokens for one in found) / game.token_passes
        return found

    ways = untuned_signals(pool, dev, read_array("data/embeddings.npy"), embedder, readings, params.cluster.seed)
    for name in ways.keys() & asked_for:
        if name in READ:
            readings()  # timed by itself
        began = time.perf_counter()
        signals[name] = ways[name]()
        seconds[name] = time.perf_counter() - began
    pair = Metagradient(params.score.seed, check=False, redraw=True)
    for name, estimator, budget in (("in_run", InRun(), Budget()), ("metagradient", pair, Budget(evaluations=4))):
        if name in asked_for:
            signals[name], cost = marginals(params, estimator, budget)
            seconds[name], fte[name] = cost.seconds, cost.fte
    table = {"id": [record.id for record in pool], **dict(sorted(signals.items()))}
    write_table("experiments/compare/signals.parquet", pd.DataFrame(table))
    for name in signals.keys() & READ:
        seconds[name], fte[name] = seconds[name] + seconds["reading"], fte["reading"]
    costs = {name: {"fte": fte.get(name, 0.0), "seconds": seconds[name]} for name in sorted(signals)}
    write_json("experiments/compare/signals.json", costs)


def marginals(params: Params, estimator: Estimator, budget: Budget) -> tuple[np.ndarray, Cost]:
    """Every pool record's marginal in the scoring regime (N,), and what it cost, now or when it was measured."""
    if params.score.utility == "accuracy":
        raise ShedError("score.utility accuracy has no gradient, and in_run and metagradient need one; use choice_loss")
    clusters = pd.read_parquet("data/clusters.parquet")
    with scoring_game(params, clusters.assign(candidate=~clusters["proxy"])) as game:
        return of_all_records(game, clusters, estimator, budget)


if __name__ == "__main__":
    main(run)
