"""Fidelity against cost: LDS of every estimator at 64 players of the default pool, over halves that none of them saw.

Usage, after `make repro`: python -m benchmarks.fidelity_against_cost. Writes benchmarks/fidelity_against_cost.json; it takes
twenty minutes the first time. The reference is a metagradient of REFERENCE FTE, with which scores are correlated too.
"""

import json
from typing import Any

from benchmarks.games import pool_game, scoring_regime
from shed.errors import ShedError
from shed.fidelity import half_coalitions, lds, measure
from shed.files import write_json
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimator, rank_correlation
from shed.valuation.in_run import InRun
from shed.valuation.metagradient import Metagradient
from shed.valuation.permutation import Permutation
from shed.valuation.regression import Regression
from shed.valuation.removal import Removal

PLAYERS, DEV_ROWS, COALITIONS = 64, 48, 16
BUDGETS = [4, 6, 8, 16]
REFERENCE = 12
ESTIMATORS: dict[str, Estimator] = {
    "metagradient": Metagradient(3, check=False),
    "in_run": InRun(),
    "regression": Regression(3),
    "regression_on_in_run": Regression(3, surrogate=InRun()),
    "removal_of_4": Removal(n=4, k=1000, seed=3),
    "permutation": Permutation(3),
}


def main() -> None:
    with pool_game(PLAYERS, 1, DEV_ROWS, scoring_regime()) as game:
        measured = measure(game.play, half_coalitions(PLAYERS, COALITIONS, seed=2), "scoring")
        reference = spend(Metagradient(9, check=False), game.play, Budget(fte=REFERENCE)).estimate
        result: dict[str, Any] = {
            "players": PLAYERS,
            "coalitions": COALITIONS,
            "v_none": reference.v_none,
            "v_all": reference.v_all,
            "reference": {"fte": REFERENCE, **lds(measured, reference.scores, seed=2)},
            "estimators": {},
        }
        for name, estimator in ESTIMATORS.items():
            by_budget: dict[str, Any] = {}
            for fte in BUDGETS[:3] if name in ("metagradient", "in_run") else BUDGETS:
                try:
                    outcome = spend(estimator, game.play, Budget(fte=fte))
                except ShedError:
                    by_budget[str(fte)] = None
                    continue
                scores = outcome.estimate.scores
                by_budget[str(fte)] = {
                    **lds(measured, scores, seed=2),
                    "evaluations": outcome.cost.evaluations,
                    "spearman": rank_correlation(scores, reference.scores),
                    "fte": outcome.cost.fte,
                    "seconds": outcome.cost.seconds,
                }
            result["estimators"][name] = by_budget
            write_json("benchmarks/fidelity_against_cost.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
