"""What the scoring regime's distance from the final tuning costs: the same unseen halves, measured in regimes between the two.

Usage, after `make repro`: python -m benchmarks.regimes. Writes benchmarks/regimes.json; it takes a quarter of an hour the first
time.

Each regime's utilities are correlated (Spearman) with the sums of the default scores, which is LDS, and with the utilities in
the target regime. The target regime under another seed tells how far any prediction can go: its seed decides initial
weights and batches, and no score knows which the user's tuning will have.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.games import pool_game, scoring_regime
from shed.fidelity import half_coalitions, lds, measure
from shed.files import write_json
from shed.params import load_params
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import rank_correlation
from shed.valuation.metagradient import Metagradient
from stages.fidelity import target_regime

COALITIONS, PROXIES, DEV_ROWS, TARGET_SEEDS = 24, 1, 48, (2, 3, 4)


def main() -> None:
    params = load_params()
    scoring, target = scoring_regime(), target_regime(params)
    regimes = {"scoring": scoring} | {f"target, seed {seed}": replace(target, seed=seed) for seed in TARGET_SEEDS}
    regimes |= {
        "scoring, seed 2": replace(scoring, seed=2),
        "scoring, lr 0.02": replace(scoring, lr=0.02),
        "scoring, AdamW, lr 0.0003": replace(scoring, optimizer="adamw", lr=3e-4),
        "scoring, AdamW, lr 0.001": replace(scoring, optimizer="adamw", lr=1e-3),
    }
    utilities: dict[str, np.ndarray] = {}
    result: dict[str, Any] = {"coalitions": COALITIONS, "players": params.C, "regimes": {}}
    scores = np.empty(0)
    for name, regime in regimes.items():
        with pool_game(params.C, PROXIES, DEV_ROWS, regime) as game:
            if name == "scoring":
                scores = spend(Metagradient(params.score.seed, check=False), game.play, Budget(evaluations=4)).estimate.scores
            measured = measure(game.play, half_coalitions(params.C, COALITIONS, seed=params.fidelity.seed), name)
            ends = game.play.value(np.stack([np.zeros(params.C, dtype=bool), np.ones(params.C, dtype=bool)]))
        utilities[name] = measured.utilities
        result["regimes"][name] = {
            "v_none": ends[0],
            "v_all": ends[1],
            "utility_std": float(measured.utilities.std(ddof=1)),
            **lds(measured, scores, seed=2),
            "with_target": {
                other: rank_correlation(measured.utilities, utilities[other])
                for other in utilities
                if other.startswith("target") and other != name
            },
        }
        write_json("benchmarks/regimes.json", result)
    seeds = [utilities[f"target, seed {seed}"] for seed in TARGET_SEEDS]
    result["target_mean_over_seeds"] = {
        "lds": rank_correlation(np.mean(seeds, axis=0), half_coalitions(params.C, COALITIONS, params.fidelity.seed) @ scores),
        "between_seeds": float(np.mean([rank_correlation(a, b) for i, a in enumerate(seeds) for b in seeds[:i]])),
    }
    write_json("benchmarks/regimes.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
