"""Fidelity against cost: every estimator at 64 players of the default pool, on half coalitions that none of them saw.

In: the default pool and its embeddings. Out: fidelity_against_cost.json.
`dvc --cd experiments/valuation repro fidelity_against_cost` runs it, in an hour the first time.

`default` is the pipeline's scoring regime, at full depth; there two black-box estimators play one seed, to 16 FTE.
`top_4_layers` costs a fifth of it, and all of them play it to 64 FTE. Scores are also correlated with a reference: a
metagradient of REFERENCE FTE and another seed, which averages more pairs of runs. Values are medians over seeds; null
stands for a budget that does not cover a first estimate.
"""

import json
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import pearsonr

from experiments.shared.games import pool_game, scoring_regime
from shed.common.atomic_io import write_json
from shed.common.errors import ShedError
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimator, rank_correlation
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter
from shed.valuation.fidelity import MeasuredCoalitions, half_coalitions, lds, mean_over_draws, measure
from shed.valuation.ledger import LedgeredGame

RESULT = "experiments/valuation/fidelity_against_cost.json"
PLAYERS, DEV_ROWS, COALITIONS, SEEDS = 64, 48, 24, (3, 4)
REFERENCE, REFERENCE_SEED = {"top_4_layers": 40, "default": 12}, 9
GAMES: dict[str, dict[str, Any]] = {"top_4_layers": {"depth": 4, "lr": 0.004}, "default": {}}
MOST = {"top_4_layers": 64, "default": 16}
MOST_OF_GRADIENTS = {"top_4_layers": 64, "default": 12}
MOST_REDRAWN = 16  # the default's budget is 11
BUDGETS = (2, 4, 8, 12, 16, 32, 64)
PLAYED_AT_DEFAULT = ("regression", "removal_of_4")
OF_GRADIENTS = ("metagradient", "metagradient_redrawn", "metagradient_banzhaf", "in_run")
ESTIMATORS: dict[str, Callable[[int, int], Estimator]] = {
    "metagradient": lambda seed, fte: Metagradient(seed, check=False),
    "metagradient_redrawn": lambda seed, fte: Metagradient(seed, check=False, redraw=True),
    "metagradient_banzhaf": lambda seed, fte: Metagradient(seed, check=False, weighting="banzhaf"),
    "in_run": lambda seed, fte: InRun(),
    "regression": lambda seed, fte: Regression(seed),
    "regression_on_in_run": lambda seed, fte: Regression(seed, surrogate=InRun()),
    "regression_on_metagradient": lambda seed, fte: Regression(seed, surrogate=Metagradient(seed, check=False)),
    "removal_of_4": lambda seed, fte: Removal(n=4, k=1000, seed=seed),
    "permutation": lambda seed, fte: Permutation(seed),
    "shapiq_KernelSHAP": lambda seed, fte: ShapiqAdapter("KernelSHAP", int(1.6 * fte), seed),
}


def main() -> None:
    result: dict[str, Any] = {}
    for name, changes in GAMES.items():
        with pool_game(PLAYERS, 1, DEV_ROWS, scoring_regime(**changes)) as game:
            halves = half_coalitions(PLAYERS, COALITIONS, seed=2)
            measured = mean_over_draws(halves, [measure(game.play, halves, "scoring")], "scoring")
            reference = spend(Metagradient(REFERENCE_SEED, check=False), game.play, Budget(fte=REFERENCE[name])).estimate
            result[name] = {
                "changes_to_the_scoring_regime": changes,
                "players": PLAYERS,
                "coalitions": COALITIONS,
                "utility_std": float(measured.utilities.std(ddof=1)),
                "v_none": reference.v_none,
                "v_all": reference.v_all,
                "reference": {"fte": REFERENCE[name], **lds(measured, reference.scores, seed=2)},
                "estimators": {},
            }
            for estimator in ESTIMATORS:
                by_gradients = estimator in OF_GRADIENTS
                most = (MOST_OF_GRADIENTS if by_gradients else MOST)[name]
                if name == "default" and not by_gradients and estimator not in PLAYED_AT_DEFAULT:
                    continue
                result[name]["estimators"][estimator] = {
                    str(fte): judged(
                        game.play,
                        estimator,
                        fte,
                        SEEDS[:1] if name == "default" and not by_gradients else SEEDS,
                        measured,
                        reference.scores,
                    )
                    for fte in BUDGETS
                    if fte <= (min(most, MOST_REDRAWN) if estimator == "metagradient_redrawn" else most)
                }
                write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def judged(
    game: LedgeredGame, estimator: str, fte: int, seeds: tuple[int, ...], measured: MeasuredCoalitions, reference: np.ndarray
) -> dict[str, Any] | None:
    """Medians over seeds of the LDS, its interval, the correlations with the reference, and the cost."""
    found = []
    for seed in seeds:
        try:
            outcome = spend(ESTIMATORS[estimator](seed, fte), game, Budget(fte=fte))
        except ShedError as error:
            print(f"{estimator}, {fte} FTE: {error}", file=sys.stderr)
            return None
        scores = outcome.estimate.scores
        found.append(
            {
                **lds(measured, scores, seed=2),
                "spearman": rank_correlation(scores, reference),
                "pearson": float(pearsonr(scores, reference).statistic),
                "evaluations": outcome.cost.evaluations,
                "fte": outcome.cost.fte,
            }
        )
    return {key: median(one[key] or 0.0 for one in found) for key in found[0]} | {"seeds": len(seeds)}


if __name__ == "__main__":
    main()
