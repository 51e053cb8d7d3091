"""One source has a tenth of the others' records: how much of it does each sampler select, and how much with a floor?

In: the default pool's embeddings, clusters and ratings. Out: imbalance.json.
`dvc --cd experiments/selection repro imbalance` runs it, in a minute.

Each source in turn keeps a tenth of its records, drawn at random, and the others keep all of theirs. What is left is
clustered anew, scored by the records' ratings in the default pool, and a tenth of it is selected. The results are the small
source's shares of the pool and of each selection, averaged over seeds, without a floor and with the default's
(`sample.floor`, by source).
"""

import json
from typing import Any, get_args

import numpy as np
import pandas as pd

from experiments.shared.by_ratings import F, scores_by_ratings
from shed.common.atomic_io import read_array, write_json
from shed.params import load_params
from shed.selection.clustering import cluster
from shed.selection.orders.floors import Floor
from shed.selection.sampling import Sampler, Size, budget, select

RESULT, SEEDS, TENTH = "experiments/selection/imbalance.json", (1, 2, 3, 4, 5), 0.1


def main() -> None:
    params = load_params()
    embeddings = read_array("data/embeddings.npy")
    pool = pd.read_parquet("data/clusters.parquet").merge(pd.read_parquet("data/ratings.parquet"), on="id")
    samplers = [sampler for sampler in get_args(Sampler) if sampler != "full"]
    floor = Floor("source", params.sample.floor)
    result: dict[str, Any] = {}
    for small in sorted(pool["source"].unique()):
        rng = np.random.default_rng(params.data.seed)
        left = (pool["source"] != small).to_numpy() | (rng.random(len(pool)) < TENTH)
        found = cluster(embeddings[left], params.C, params.cluster.method, 1, params.cluster.seed)
        clusters = pool[left].assign(cluster=found.labels, distance=found.distances).reset_index(drop=True)
        scores = scores_by_ratings(clusters)
        size = budget(len(clusters), params.sample.fraction, params.sample.rows)

        result[small] = {
            "share_of_pool": float((clusters["source"] == small).mean()),
            "share_of_selection": {one: share(small, clusters, scores, one, size, F, None) for one in samplers},
            "share_with_floor": {one: share(small, clusters, scores, one, size, F, floor) for one in samplers},
        }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def share(
    small: str, clusters: pd.DataFrame, scores: pd.DataFrame, sampler: Sampler, size: Size, f: float, floor: Floor | None
) -> float:
    """The small source's share of what a sampler selects, averaged over seeds."""
    chosen = [select(clusters, scores, sampler, size, f, seed, floor) for seed in SEEDS]
    return float(np.mean([(one["source"] == small).mean() for one in chosen]))


if __name__ == "__main__":
    main()
