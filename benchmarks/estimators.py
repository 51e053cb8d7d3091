"""Black-box estimators against exact Shapley values, in games that cost nothing.

In: the games of real records in experiments/valuation/exact_games.json. Out: benchmarks/estimators.json. Run it by
`OMP_NUM_THREADS=1 python -m benchmarks.estimators`; it takes a quarter of an hour.

Each estimator may ask for 2, 5 and 10 utilities a player. Measured are Spearman's correlation with the exact values, and the
root mean square of the errors in units of the exact values' deviation: 1 is as wrong as equal shares. Both are means over
seeds, of which each has a known game of its own, and all the same measured game; their deviations between seeds stand beside
them. null: fewer utilities than an estimator needs, or all players score alike.

`regression_banzhaf` estimates other values, and is here for their order. So is shapiq's RegressionFBII, which at order one
gives Banzhaf values, too. Other approximators of shapiq 1.4 equal one of these at order one (KernelSHAPIQ,
InconsistentKernelSHAPIQ, kADDSHAP and RegressionFSII: KernelSHAP; SHAPIQ: UnbiasedKernelSHAP; SVARMIQ: SVARM), have no
Shapley values (PermutationSamplingSII and -STII), need hundreds of evaluations of 60 players and minutes (SPEX), or a package
that is not installed (ProxySPEX: lightgbm).

`regression_without_curve` is the regression as it is but for the curve over sizes.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.known_games import FreeGame, KnownGame, MeasuredGame
from shed.common.atomic_io import read_json, write_json
from shed.common.errors import ShedError
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimate, Estimator, rank_correlation
from shed.valuation.estimators import size_baseline
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter
from shed.valuation.game import DifferentiableGame

RESULT, MEASURED = "benchmarks/estimators.json", "experiments/valuation/exact_games.json"
CURVES = ("additive", "root", "maximum")
PLAYERS, NOISES, EVALUATIONS, SEEDS = (60, 8), (0.0, 0.1), (2, 5, 10), range(10)
Make = Callable[[int, int], Estimator]


@dataclass(frozen=True)
class RegressionWithoutCurve:
    """The regression whose curve over sizes may have no term."""

    seed: int

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        with patch.object(size_baseline, "MOST", 0):
            yield from Regression(self.seed).rounds(game)


ESTIMATORS: dict[str, Make] = {
    "regression_without_curve": lambda seed, evaluations: RegressionWithoutCurve(seed),
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
    result: dict[str, Any] = {"seeds": len(SEEDS)}
    for players, kind, name, game_of_seed in games():
        result.setdefault(str(players), {}).setdefault(kind, {})[name] = {
            estimator: {str(each): measured(game_of_seed, make, each * players) for each in EVALUATIONS}
            for estimator, make in makers.items()
        }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def games() -> Iterator[tuple[int, str, str, Callable[[int], FreeGame]]]:
    """Players, curve and noise of each known game, and the same game of each seed; then the measured games by their names."""
    for players, curve, noise in product(PLAYERS, CURVES, NOISES):
        yield players, curve, f"{noise:g}", partial(KnownGame, curve, players, noise)
    for name, found in read_json(MEASURED).items():
        game = MeasuredGame(np.array(found["utilities"]))
        yield game.players, "measured", name, partial(_the_same, game)


def measured(game_of_seed: Callable[[int], FreeGame], make: Make, evaluations: int) -> dict[str, float] | None:
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


def _the_same(game: FreeGame, seed: int) -> FreeGame:
    return game


def _of_shapiq(name: str) -> Make:
    return lambda seed, evaluations: ShapiqAdapter(name, evaluations, seed)


if __name__ == "__main__":
    main()
