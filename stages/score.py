"""Score: a score and a Shapley score for each cluster, every evaluation through the ledger."""

import sys

import pandas as pd

from shed.common.atomic_io import read_json, write_json, write_table
from shed.params import Params
from shed.selection.candidates import rated
from shed.selection.scoring import score_clusters
from shed.settings.estimators import ESTIMATORS
from shed.valuation.budget import Budget
from stages import main
from stages.shared.games import scoring_game
from stages.shared.took import keep_seconds

PER = {"record": "", "token": ", for each response token of a record"}
SCORE_IS = {"ratings": "mean rating", "shapley": "Shapley score"}


def run(params: Params) -> None:
    score = params.score
    clusters = pd.read_parquet("data/clusters.parquet")
    budget = Budget(**score.budget.model_dump(), **score.target.model_dump())
    if score.by == "ratings":
        lengths = clusters.merge(pd.read_parquet("data/lengths.parquet"), on="id", how="left", validate="one_to_one")
        clusters = rated(lengths, pd.read_parquet("data/ratings.parquet"), params.rate.per)
    with scoring_game(params, clusters) as game:
        scored = score_clusters(game, ESTIMATORS[score.method](score), budget, score.on_divergence, clusters)
        passes = game.token_passes
    bars = scored.table.assign(low=lambda t: t["score"] - t["stderr"], high=lambda t: t["score"] + t["stderr"])
    write_table("data/scores.parquet", scored.table)
    write_table("metrics/plots/scores.csv", bars[["cluster", "rank", "score", "low", "high", "size"]])
    write_table("metrics/plots/convergence.csv", scored.convergence)
    ratings = read_json("metrics/rate.json")
    metrics = {"method": score.method, "score_is": SCORE_IS[score.by], **scored.metrics}
    seconds = metrics.pop("seconds")
    assert isinstance(seconds, float)
    keep_seconds("score", seconds)
    if ratings["rated"]:
        metrics["ratings_fte"] = ratings["token_passes"] / passes
    if score.by == "ratings":
        metrics["score_unit"] = ratings["unit"] + PER[params.rate.per]
    write_json("metrics/score.json", metrics)
    print(f"shed: scoring ended: {scored.metrics['ended']}", file=sys.stderr)
    if scored.metrics["notes"]:
        print(f"shed: note: {scored.metrics['notes']}", file=sys.stderr)


if __name__ == "__main__":
    main(run)
