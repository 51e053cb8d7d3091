"""Score: a Shapley score for each cluster, every evaluation through the ledger."""

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from shed.files import write_json, write_table
from shed.params import Params, Score
from shed.scoring import score_clusters
from shed.valuation.estimate import Estimate
from shed.valuation.exact import exact
from shed.valuation.ledger import LedgeredGame
from shed.valuation.regression import regression
from shed.valuation.removal import removal
from stages import main
from stages.proxy_game import scoring_game

ESTIMATORS: dict[str, Callable[[Score], Callable[[LedgeredGame], Estimate]]] = {
    "removal": lambda score: partial(removal, n=score.n, k=score.k, seed=score.seed),
    "regression": lambda score: partial(regression, evaluations=score.evaluations, seed=score.seed),
    "exact": lambda score: exact,
}


def run(params: Params) -> None:
    score = params.score
    clusters = pd.read_parquet("data/clusters.parquet")
    sizes = np.bincount(clusters["cluster"])
    with scoring_game(params, clusters) as game:
        scored = score_clusters(game, ESTIMATORS[score.method](score), sizes, params.model.max_tokens)
    bars = scored.table.assign(low=lambda t: t["score"] - t["stderr"], high=lambda t: t["score"] + t["stderr"])
    write_table("data/scores.parquet", scored.table)
    write_table("metrics/plots/scores.csv", bars[["cluster", "rank", "score", "low", "high", "size"]])
    write_table("metrics/plots/convergence.csv", scored.convergence)
    write_json("metrics/score.json", {"method": score.method, **scored.metrics})
    if scored.metrics["notes"]:
        print(f"shed: note: {scored.metrics['notes']}", file=sys.stderr)


if __name__ == "__main__":
    main(run)
