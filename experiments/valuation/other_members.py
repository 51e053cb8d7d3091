"""Do scores hold for records that were not tuned on? An audit with other members in the proxies' places.

In: the default pool, its embeddings, clusters and scores. Out: other_members.json.
`dvc --cd experiments/valuation repro other_members` runs it, in three minutes the first time.

A selection takes a cluster's records, not its proxy. So unseen half coalitions are tuned with another random member of each
cluster in its proxy's place, for each of several draws. For each draw and for the halves' means over draws the LDS is given
of the clusters' scores (their records' mean rating), of the proxies' Shapley scores, and of the baselines' means over a
cluster.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from experiments.shared.games import draw_members, game_of, scoring_regime
from shed.common.atomic_io import read_array, write_json
from shed.data.records import read_records
from shed.embedding.embedder import embed
from shed.params import load_params
from shed.selection.baselines import baseline_scores
from shed.selection.cluster_scores import mean_ratings
from shed.valuation.fidelity import MeasuredCoalitions, half_coalitions, lds, mean_over_draws, measure
from stages.shared.settings.embedder import embedder_spec

RESULT = "experiments/valuation/other_members.json"
DRAWS, HALVES, AUDIT_SEED = (1, 2, 3), 12, 3


def main() -> None:
    params = load_params()
    clusters = pd.read_parquet("data/clusters.parquet")
    table = pd.read_parquet("data/scores.parquet").sort_values("cluster", ignore_index=True)
    pool, dev = read_records("data/prepared/pool.jsonl"), read_records("data/prepared/dev.jsonl")[: params.score.dev_rows]
    of_dev = embed(dev, embedder_spec(params)).vectors
    baselines = baseline_scores(pool, dev, read_array("data/embeddings.npy"), of_dev)
    rated = clusters.merge(pd.read_parquet("data/ratings.parquet"), on="id", validate="one_to_one")
    means, _ = mean_ratings(rated)
    audited: dict[str, np.ndarray] = {
        "score": means,
        "shapley of proxies": table["shapley"].to_numpy(),
        **{str(name): pd.Series(own).groupby(clusters["cluster"]).mean().to_numpy() for name, own in baselines.items()},
    }
    halves = half_coalitions(params.C, HALVES, AUDIT_SEED)
    utilities: list[np.ndarray] = []
    for draw in DRAWS:
        others = draw_members(clusters, 1, draw)
        played = clusters.assign(proxy=others)
        with game_of(pool, played, params.score.dev_rows, scoring_regime()) as game:
            utilities.append(measure(game.play, halves, f"draw {draw} of {len(DRAWS)}"))
    mean = mean_over_draws(halves, utilities, "scoring")
    of_draws = [MeasuredCoalitions(halves, one) for one in utilities]
    result: dict[str, Any] = {
        "players": params.C,
        "halves": HALVES,
        "draws_agree": mean.draws_agree,
        "mean_over_draws": {name: lds(mean, own, AUDIT_SEED) for name, own in audited.items()},
        "draws": [{name: lds(one, own, AUDIT_SEED) for name, own in audited.items()} for one in of_draws],
    }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
