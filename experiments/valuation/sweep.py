"""The paper's sweep: scores by removal over (C, n), and selections by QWCS over f, on the default pool.

In: the default pool, its embeddings, clusters and ratings. Out: sweep.json. `dvc --cd experiments/valuation repro sweep`
runs it, in ten minutes the first time.

Clusters are scored as the paper does, by removal of groups of n from all C, twice, with LoRA in the top four layers. The
scores are measured by their LDS over unseen halves of the same game, and a selection of a tenth by the mean rating of its
rows. They are compared with metagradient's scores of the same game, with the clusters' mean ratings, and with the mean of
all rows, which random rows have. A selection is drawn under five seeds.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from experiments.shared.games import pool_game, scoring_regime
from shed.common.atomic_io import read_array, write_json
from shed.params import load_params
from shed.selection.clustering import cluster
from shed.selection.sampling import Sampler, Size, select
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimator
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.removal import Removal
from shed.valuation.fidelity import MeasuredCoalitions, half_coalitions, lds, measure

RESULT = "experiments/valuation/sweep.json"
SIZES, GROUPS, SHARPNESS, ITERATIONS = (16, 32, 64), (1, 4), (0.0, 0.5, 1.0, 2.0, 8.0), 2
ROWS, SEEDS, HALVES, DEV_ROWS, AUDIT_SEED = 200, (1, 2, 3, 4, 5), 12, 16, 2
REGIME = {"depth": 4, "lr": 0.004}


def main() -> None:
    params = load_params()
    played = pd.read_parquet("data/clusters.parquet")
    ratings = pd.read_parquet("data/ratings.parquet").set_index("id")["rating"][played["id"]].to_numpy()
    result: dict[str, Any] = {
        "rows": ROWS,
        "mean_rating_of_all": float(ratings.mean()),
        "mean_rating_of_the_best_rows": float(np.sort(ratings)[-ROWS:].mean()),
        "scored": [],
    }
    for C in SIZES:
        found = cluster(read_array("data/embeddings.npy"), C, "kmeans", 1, seed=1)
        clusters = played[["id", "source"]].assign(cluster=found.labels, distance=found.distances)
        means = np.bincount(found.labels, weights=ratings) / np.bincount(found.labels)
        halves = half_coalitions(C, HALVES, AUDIT_SEED)
        ways: dict[str, Estimator] = {f"removal, n = {n}": Removal(n, ITERATIONS, params.score.seed) for n in GROUPS}
        ways["metagradient"] = Metagradient(params.score.seed, check=False)
        with pool_game(C, 1, DEV_ROWS, scoring_regime(**REGIME)) as game:
            measured = MeasuredCoalitions(halves, measure(game.play, halves, f"C = {C}"))
            for name, estimator in ways.items():
                budget = Budget(evaluations=4) if name == "metagradient" else Budget()
                outcome = spend(estimator, game.play, budget)
                result["scored"].append(
                    {"C": C, "scores": name, "evaluations": outcome.cost.evaluations, "fte": outcome.cost.fte}
                    | lds(measured, outcome.estimate.scores, AUDIT_SEED)
                    | selected(clusters, outcome.estimate.scores, ratings)
                )
        result["scored"].append({"C": C, "scores": "clusters' mean ratings"} | selected(clusters, means, ratings))
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def selected(clusters: pd.DataFrame, scores: np.ndarray, ratings: np.ndarray) -> dict[str, float]:
    """The mean rating of what QOCS selects, and QWCS at each f; scores (C,) are taken in units of their standard deviation.

    f depends on the scale of scores, and the kinds of scores here have different ones.
    """
    scaled = (scores - scores.mean()) / scores.std()
    table = pd.DataFrame({"cluster": np.arange(len(scores)), "score": scaled})
    table["rank"] = table["score"].rank(ascending=False, method="first").astype(int)
    worth = pd.Series(ratings, index=clusters["id"])

    def of_rows(sampler: Sampler, f: float) -> float:
        return float(np.mean([worth[select(clusters, table, sampler, Size(ROWS), f, seed)["id"]].mean() for seed in SEEDS]))

    return {"qocs": of_rows("qocs", 0.0)} | {f"qwcs_f_{f:g}": of_rows("qwcs", f) for f in SHARPNESS}


if __name__ == "__main__":
    main()
