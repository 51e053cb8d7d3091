"""Score: a Shapley score for each cluster, every evaluation through the ledger."""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd

from shed.files import write_json, write_table
from shed.params import Params, Score
from shed.scoring import draw_members, score_clusters
from shed.valuation.approximator import Approximator
from shed.valuation.budget import Budget
from shed.valuation.estimate import Estimator
from shed.valuation.exact import Exact
from shed.valuation.in_run import InRun
from shed.valuation.metagradient import Metagradient
from shed.valuation.permutation import Permutation
from shed.valuation.regression import Regression
from shed.valuation.removal import Removal
from stages import main
from stages.proxy_game import scoring_game

SURROGATES: dict[str, Callable[[Score], Estimator | None]] = {
    "none": lambda score: None,
    "in_run": lambda score: InRun(),
    "metagradient": lambda score: Metagradient(score.seed, score.check_smoothness),
}
ESTIMATORS: dict[str, Callable[[Score], Estimator]] = {
    "metagradient": lambda score: Metagradient(score.seed, score.check_smoothness, score.weighting, score.redraw),
    "in_run": lambda score: InRun(),
    "regression": lambda score: Regression(score.seed, score.weighting, SURROGATES[score.surrogate](score)),
    "permutation": lambda score: Permutation(score.seed),
    "removal": lambda score: Removal(score.n, score.k, score.seed),
    "exact": lambda score: Exact(),
    "shapiq": lambda score: Approximator(score.approximator, score.budget.evaluations or 0, score.seed),
}


def run(params: Params) -> None:
    score = params.score
    clusters = pd.read_parquet("data/clusters.parquet")
    sizes = np.bincount(clusters["cluster"])
    budget = Budget(**score.budget.model_dump(), **score.target.model_dump())
    members = draw_members(clusters, score.members, score.seed)
    with scoring_game(params, clusters.assign(bystander=members)) as game:
        scored = score_clusters(
            game, ESTIMATORS[score.method](score), budget, score.on_divergence, sizes, params.model.max_tokens
        )
    bars = scored.table.assign(low=lambda t: t["score"] - t["stderr"], high=lambda t: t["score"] + t["stderr"])
    write_table("data/scores.parquet", scored.table)
    write_table("metrics/plots/scores.csv", bars[["cluster", "rank", "score", "low", "high", "size"]])
    write_table("metrics/plots/convergence.csv", scored.convergence)
    write_json("metrics/score.json", {"method": score.method, **scored.metrics})
    print(f"shed: scoring ended: {scored.metrics['ended']}", file=sys.stderr)
    if scored.metrics["notes"]:
        print(f"shed: note: {scored.metrics['notes']}", file=sys.stderr)


if __name__ == "__main__":
    main(run)
