"""Do scores predict the utility of halves as large as a selection, or only of halves of a few records? An audit by size.

In: the default pool, its clusters, ratings and scores. Out: selection_sized.json.
`dvc --cd experiments/valuation repro selection_sized` runs it, in a quarter of an hour the first time.

The audit's halves have one record of each of 16 clusters, and the final tuning has 200 records: which scores predict may
depend on that. So halves of the default's clusters are tuned as the final model is, with 1 and with 12 random members of
each cluster: 16 and 192 records. Their utility, by dev loss and by choice loss, is predicted by the proxies' Shapley
scores, by the clusters' mean ratings, and by the mean ratings of the very members that are tuned on.
"""

import json
from typing import Any, get_args

import numpy as np
import pandas as pd

from experiments.shared.games import draw_members, game_of
from shed.common.atomic_io import write_json
from shed.data.records import read_records
from shed.engine.utility import UtilityKind
from shed.params import load_params
from shed.valuation.fidelity import chance, half_coalitions, lds, mean_over_draws, measure
from stages.fidelity import target_regime

RESULT = "experiments/valuation/selection_sized.json"
MEMBERS, HALVES, DRAWS, AUDIT_SEED, DEV_ROWS = (1, 12), 12, (2,), 2, 48
UTILITIES = tuple(kind for kind in get_args(UtilityKind) if kind != "accuracy")


def main() -> None:
    params = load_params()
    clusters = pd.read_parquet("data/clusters.parquet")
    clusters = clusters.merge(pd.read_parquet("data/ratings.parquet"), on="id").assign(proxy=False)
    scores = pd.read_parquet("data/scores.parquet").sort_values("cluster", ignore_index=True)
    pool = read_records("data/prepared/pool.jsonl")
    halves = half_coalitions(len(scores), HALVES, AUDIT_SEED)
    result: dict[str, Any] = {"players": len(scores), "halves": HALVES, "draws": DRAWS, "audited": []}
    for members in MEMBERS:
        played = clusters.assign(proxy=draw_members(clusters, members, AUDIT_SEED))
        own = played[played["proxy"]].groupby("cluster")["rating"].mean()
        audited = {
            "Shapley scores of proxies": scores["shapley"].to_numpy(),
            "mean ratings of clusters": clusters.groupby("cluster")["rating"].mean().to_numpy(),
            "mean ratings of the members": own.to_numpy(),
        }
        for utility in UTILITIES:
            draws = []
            for seed in DRAWS:
                with game_of(pool, played, DEV_ROWS, target_regime(params, seed), utility) as game:
                    draws.append(measure(game.play, halves, f"{members} a cluster, {utility}, draw {seed}"))
            found = mean_over_draws(halves, draws, "target")
            result["audited"].append(
                {
                    "records_of_a_half": int(played["proxy"].sum()) // 2,
                    "utility": utility,
                    "utility_mean": float(found.utilities.mean()),
                    "utility_std": float(np.std(found.utilities, ddof=1)),
                    "draws_agree": found.draws_agree,
                    "lds": {name: lds(found, values, AUDIT_SEED) for name, values in audited.items()},
                    "random": chance(found, AUDIT_SEED),
                }
            )
            write_json(RESULT, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
