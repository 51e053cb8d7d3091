"""Proxies against all records, and estimates against exact values: what each shortcut of SHED loses, on a hundred records.

In: the default pool and its embeddings. Out: hundred_records.json. `dvc --cd experiments/valuation repro hundred_records`
runs it, in a quarter of an hour the first time.

A hundred records of the default pool are put into eight clusters. The truth is the exact Shapley value of each cluster,
with all its records tuned on: 256 coalitions of about fifty records, by LoRA in the top four layers. Compared with it are
exact values of the proxies alone, one for each cluster and two; the paper's removal; metagradient on the proxies; the mean
marginal of a cluster's other records, which metagradient gives without tuning on them; and metagradient on all records.

Eight proxies in batches of eight are two steps, and all records take 26: proxies are also played in small batches, with 24
steps.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from experiments.shared.games import game_of, scoring_regime
from shed.common.atomic_io import read_array, write_json
from shed.data.records import read_records
from shed.selection.clustering import cluster
from shed.valuation.budget import Budget, Cost, spend
from shed.valuation.estimate import Estimate, Estimator, rank_correlation
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.removal import Removal

RESULT = "experiments/valuation/hundred_records.json"
RECORDS, PLAYERS, DEV_ROWS, SEED = 100, 8, 16, 1
REGIME: dict[str, Any] = {"depth": 4, "lr": 0.004}
EXACT, REMOVAL, PAIRS = Exact(), Removal(n=1, k=10, seed=SEED), Metagradient(SEED, check=False)
FEW, MANY = Budget(evaluations=4), Budget()
ONE_AT_A_TIME, TWO_AT_A_TIME = {"batch_size": 1, "epochs": 3}, {"batch_size": 2, "epochs": 3}
WAYS: dict[str, tuple[int, dict[str, int], Estimator, Budget]] = {
    "exact on one proxy a cluster, 2 steps": (1, {}, EXACT, MANY),
    "exact on one proxy a cluster, 24 steps": (1, ONE_AT_A_TIME, EXACT, MANY),
    "exact on two proxies a cluster, 4 steps": (2, {}, EXACT, MANY),
    "exact on two proxies a cluster, 24 steps": (2, TWO_AT_A_TIME, EXACT, MANY),
    "removal on one proxy a cluster, 24 steps": (1, ONE_AT_A_TIME, REMOVAL, MANY),
    "metagradient on one proxy a cluster, 24 steps": (1, ONE_AT_A_TIME, PAIRS, FEW),
    "metagradient on two proxies a cluster, 24 steps": (2, TWO_AT_A_TIME, PAIRS, FEW),
    "metagradient on all records": (RECORDS, {}, PAIRS, FEW),
}


def main() -> None:
    pool = read_records("data/prepared/pool.jsonl")
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(pool))[:RECORDS])
    records, embeddings = [pool[i] for i in chosen], read_array("data/embeddings.npy")[chosen]
    sizes = np.bincount(cluster(embeddings, PLAYERS, "kmeans", 1, SEED).labels)

    def played(
        proxies: int, changes: dict[str, int], estimator: Estimator, budget: Budget
    ) -> tuple[Estimate, Cost, np.ndarray]:
        """An estimate, its cost, and the cluster of each candidate, a record that did not play."""
        found = cluster(embeddings, PLAYERS, "kmeans", proxies, SEED)
        table = pd.DataFrame({"cluster": found.labels, "proxy": found.proxies, "candidate": ~found.proxies})
        with game_of(records, table, DEV_ROWS, scoring_regime(**REGIME, **changes)) as game:
            outcome = spend(estimator, game.play, budget)
            return outcome.estimate, outcome.cost, game.candidate_owner

    truth, cost, _ = played(RECORDS, {}, EXACT, MANY)
    result: dict[str, Any] = {
        "records": RECORDS,
        "sizes": sizes.tolist(),
        "exact": truth.scores.tolist(),
        "v_none": truth.v_none,
        "v_all": truth.v_all,
        "evaluations": cost.evaluations,
        "fte": cost.fte,
        "ways": {},
    }
    exact_of: dict[tuple[Any, ...], np.ndarray] = {(RECORDS,): truth.scores}  # of a game; its exact way comes first
    for name, (proxies, changes, estimator, budget) in WAYS.items():
        estimate, cost, owner = played(proxies, changes, estimator, budget)
        own = exact_of.setdefault((proxies, *changes.items()), estimate.scores)
        of_a_record = estimate.scores / np.minimum(proxies, sizes)
        spent = {
            "evaluations": cost.evaluations,
            "fte": cost.fte,
            "v_all": estimate.v_all,
            "spearman_with_its_game": rank_correlation(estimate.scores, own),
            "pearson_with_its_game": float(pearsonr(estimate.scores, own).statistic),
        }
        result["ways"][name] = compared(of_a_record, truth.scores, sizes) | spent
        if estimate.candidates is not None and len(owner):
            others = np.bincount(owner, weights=estimate.candidates, minlength=PLAYERS)
            of_all = (estimate.scores + others) / sizes
            result["ways"][f"{name}, with the marginals of the others"] = compared(of_all, truth.scores, sizes) | spent
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def compared(of_a_record: np.ndarray, truth: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """Estimates of what a record of each cluster is worth (P,) against exact values (P,), by record and whole."""
    return {
        "spearman_by_record": rank_correlation(of_a_record, truth / sizes),
        "pearson_by_record": float(pearsonr(of_a_record, truth / sizes).statistic),
        "spearman_of_clusters": rank_correlation(of_a_record * sizes, truth),
        "pearson_of_clusters": float(pearsonr(of_a_record * sizes, truth).statistic),
    }


if __name__ == "__main__":
    main()
