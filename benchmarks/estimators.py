"""Black-box estimators against exact Shapley values, in games that cost nothing.

In: nothing. Out: benchmarks/estimators.json. Run it by `OMP_NUM_THREADS=1 python -m benchmarks.estimators`; it takes a
quarter of an hour.

Each estimator may ask for 2, 5 and 10 utilities a player. Measured are Spearman's correlation with the exact values, and the
root mean square of the errors in units of the exact values' deviation: 1 is as wrong as equal shares. Both are means over
seeds, each with a game of its own; their deviations between seeds stand beside them. null: fewer utilities than an estimator
needs, or all players score alike.

`regression_banzhaf` estimates other values, and is here for their order. So is shapiq's RegressionFBII, which at order one
gives Banzhaf values, too. Other approximators of shapiq 1.4 equal one of these at order one (KernelSHAPIQ,
InconsistentKernelSHAPIQ, kADDSHAP and RegressionFSII: KernelSHAP; SHAPIQ: UnbiasedKernelSHAP; SVARMIQ: SVARM), have no
Shapley values (PermutationSamplingSII and -STII), need hundreds of evaluations of 60 players and minutes (SPEX), or a package
that is not installed (ProxySPEX: lightgbm).

`regression_before` is the regression without a curve over sizes. It was measured by this program at commit 67b7276 and is
kept from the file.
"""

import json
import warnings
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.known_games import KnownGame
from shed.common.atomic_io import read_json, write_json
from shed.common.errors import ShedError
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimator, rank_correlation
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter

RESULT = Path("benchmarks/estimators.json")
CURVES = ("additive", "root", "maximum")
PLAYERS, NOISES, EVALUATIONS, SEEDS = (60, 8), (0.0, 0.1), (2, 5, 10), range(10)
BEFORE = "regression_before"
Make = Callable[[int, int], Estimator]
ESTIMATORS: dict[str, Make] = {
    "regression": lambda seed, evaluations: Regression(seed),
    "regression_banzhaf": lambda seed, evaluations: Regression(seed, "banzhaf"),
    "permutation": lambda seed, evaluations: Permutation(seed),
    "removal": lambda seed, evaluations: Removal(n=1, k=10_000, seed=seed),
}
SHAPIQ = (
    "KernelSHAP",
    "UnbiasedKernelSHAP",
    "SVARM",
    "PermutationSamplingSV",
    "StratifiedSamplingSV",
    "OwenSamplingSV",
    "RegressionFBII",
)


def main() -> None:
    warnings.simplefilter("ignore")  # shapiq warns of few evaluations
    makers: dict[str, Make] = ESTIMATORS | {name: _of_shapiq(name) for name in SHAPIQ}
    earlier = read_json(RESULT) if RESULT.exists() else {}
    result: dict[str, Any] = {"seeds": len(SEEDS)}
    for players, curve, noise in product(PLAYERS, CURVES, NOISES):
        keys = str(players), curve, f"{noise:g}"
        of_curve = result.setdefault(keys[0], {}).setdefault(keys[1], {})
        of_curve[keys[2]] = {BEFORE: earlier[keys[0]][keys[1]][keys[2]][BEFORE]} if earlier else {}
        for name, make in makers.items():
            of_curve[keys[2]][name] = {
                str(each): measured(partial(KnownGame, curve, players, noise), make, each * players) for each in EVALUATIONS
            }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def measured(game_of_seed: Callable[[int], KnownGame], make: Make, evaluations: int) -> dict[str, float] | None:
    """Means and deviations over seeds of the rank correlation with exact values, and of the relative error."""
    found = []
    for seed in SEEDS:
        game = game_of_seed(seed)
        exact = game.exact()
        try:
            scores = spend(make(seed, evaluations), game, Budget(evaluations=evaluations)).estimate.scores
        except ShedError:
            return None
        if not np.ptp(scores):
            return None
        error = np.sqrt(np.square(scores - exact).mean()) / exact.std()
        found.append((rank_correlation(scores, exact), float(error)))
    (spearman, error), (spearman_std, error_std) = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    means = {"spearman": spearman, "spearman_std": spearman_std, "error": error, "error_std": error_std}
    return {name: float(value) for name, value in means.items()}


def _of_shapiq(name: str) -> Make:
    return lambda seed, evaluations: ShapiqAdapter(name, evaluations, seed)


if __name__ == "__main__":
    main()
