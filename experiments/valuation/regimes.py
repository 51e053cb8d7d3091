"""How well do scores of cheaper tunings predict the final one, and which difference between the two costs most?

In: the default pool and its embeddings. Out: regimes.json. `dvc --cd experiments/valuation repro regimes` runs it, in
twenty minutes the first time.

The default pool's proxies are scored by one pair of metagradient runs in each of several regimes: the default's, and others
that differ from it in one thing. In the default's they are scored by one pair and by two, with the same initial weights and
batches and with redrawn ones. Scores are audited by the same unseen halves in their own regime and in the target regime
under several seeds of initial weights and batches, since nobody knows which seed the final tuning will have. True scores
would agree with one seed by about the root of the agreement between seeds, and with the seeds' mean by more.
"""

import json
from typing import Any

import numpy as np

from experiments.shared.games import pool_game, scoring_regime
from shed.common.atomic_io import write_json
from shed.engine.regime import Regime
from shed.params import load_params
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import rank_correlation
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.fidelity import MeasuredCoalitions, half_coalitions, lds, mean_over_draws, measure
from stages.fidelity import target_regime

RESULT = "experiments/valuation/regimes.json"
COALITIONS, PROXIES, DEV_ROWS, AUDIT_SEED, TARGET_SEEDS = 16, 1, 48, 2, (2, 3, 4)


def main() -> None:
    params, scoring = load_params(), scoring_regime()
    tested = {
        "frozen Adam, all layers, 2 epochs": (scoring, 1, False),
        "another seed": (scoring_regime(seed=5), 1, False),
        "two pairs": (scoring, 2, False),
        "one pair, redrawn": (scoring, 1, True),
        "default: two pairs, redrawn": (scoring, 2, True),
        "another seed, one pair, redrawn": (scoring_regime(seed=5), 1, True),
        "another seed, two pairs, redrawn": (scoring_regime(seed=5), 2, True),
        "a third seed, two pairs, redrawn": (scoring_regime(seed=6), 2, True),
        "SGD, lr 0.04": (scoring_regime(optimizer="sgd", lr=0.04), 1, False),
        "SGD, lr 0.02": (scoring_regime(optimizer="sgd", lr=0.02), 1, False),
        "1 epoch": (scoring_regime(epochs=1), 1, False),
        "top 4 layers": (scoring_regime(depth=4), 1, False),
    }
    halves = half_coalitions(params.C, COALITIONS, AUDIT_SEED)
    utilities = [measured(target_regime(params, seed), halves) for seed in TARGET_SEEDS]
    of_targets, of_mean = [MeasuredCoalitions(halves, own) for own in utilities], mean_over_draws(halves, utilities, "target")
    result: dict[str, Any] = {
        "coalitions": COALITIONS,
        "players": params.C,
        "target_seeds": TARGET_SEEDS,
        "between_target_seeds": [rank_correlation(a, b) for i, a in enumerate(utilities) for b in utilities[:i]],
        "regimes": {},
    }
    for name, (regime, pairs, redraw) in tested.items():
        own = MeasuredCoalitions(halves, measured(regime, halves))
        with pool_game(params.C, PROXIES, DEV_ROWS, regime) as game:
            outcome = spend(Metagradient(regime.seed, False, redraw=redraw), game.play, Budget(evaluations=2 + 2 * pairs))
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


def measured(regime: Regime, halves: np.ndarray) -> np.ndarray:
    """The halves' utilities in a regime."""
    with pool_game(halves.shape[1], PROXIES, DEV_ROWS, regime) as game:
        return measure(game.play, halves, "this")


if __name__ == "__main__":
    main()
