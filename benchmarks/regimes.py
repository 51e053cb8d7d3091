"""How well scores of cheaper tunings predict the final one, and which difference between the two costs it.

Usage, after `make repro`: python -m benchmarks.regimes. Writes benchmarks/regimes.json; it takes twenty minutes the first time.

The default pool's proxies are scored by one pair of metagradient runs in each of several regimes, the default and others that
differ from it in one thing. Scores are audited by the same unseen halves in their own regime and in the target regime under
several seeds, of initial weights and batches, since nobody knows which the final tuning will have. A prediction can hardly
agree with one of them more than they do with each other, but it can with their mean.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.games import pool_game, scoring_regime
from shed.fidelity import Measured, half_coalitions, lds, measure
from shed.files import write_json
from shed.params import load_params
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import rank_correlation
from shed.valuation.metagradient import Metagradient
from shed.valuation.training import Regime
from stages.fidelity import target_regime

RESULT = "benchmarks/regimes.json"
COALITIONS, PROXIES, DEV_ROWS, AUDIT_SEED, TARGET_SEEDS = 16, 1, 48, 2, (2, 3, 4)


def main() -> None:
    scoring, target = scoring_regime(), target_regime(load_params())
    tested = {
        "default: frozen Adam, all layers, 2 epochs": scoring,
        "another seed": replace(scoring, seed=5),
        "SGD, lr 0.04": replace(scoring, optimizer="sgd", lr=0.04),
        "SGD, lr 0.02": replace(scoring, optimizer="sgd", lr=0.02),
        "1 epoch": replace(scoring, epochs=1),
        "top 4 layers": replace(scoring, depth=4),
    }
    of_targets = [measured(replace(target, seed=seed)) for seed in TARGET_SEEDS]
    utilities = [one.utilities for one in of_targets]
    of_mean = Measured(of_targets[0].coalitions, np.mean(utilities, axis=0))
    result: dict[str, Any] = {
        "coalitions": COALITIONS,
        "players": load_params().C,
        "target_seeds": TARGET_SEEDS,
        "between_target_seeds": [rank_correlation(a, b) for i, a in enumerate(utilities) for b in utilities[:i]],
        "regimes": {},
    }
    for name, regime in tested.items():
        own = measured(regime)
        with pool_game(load_params().C, PROXIES, DEV_ROWS, regime) as game:
            outcome = spend(Metagradient(regime.seed, check=False), game.play, Budget(evaluations=4))
        scores = outcome.estimate.scores
        result["regimes"][name] = {
            "v_all": outcome.estimate.v_all,
            "fte": outcome.cost.fte,
            "own": lds(own, scores, AUDIT_SEED),
            "target": [lds(one, scores, AUDIT_SEED) for one in of_targets],
            "target_mean": lds(of_mean, scores, AUDIT_SEED),
            "utilities_with_target": [rank_correlation(own.utilities, one) for one in utilities],
        }
        write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def measured(regime: Regime) -> Measured:
    """The halves' utilities in a regime."""
    C = load_params().C
    with pool_game(C, PROXIES, DEV_ROWS, regime) as game:
        return measure(game.play, half_coalitions(C, COALITIONS, AUDIT_SEED), "this")


if __name__ == "__main__":
    main()
