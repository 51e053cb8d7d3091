"""The estimators of Shapley scores by the names that params have for them.

In: the group `score`. Out: an `Estimator`.
"""

from collections.abc import Callable

from shed.params import Score
from shed.valuation.estimate import Estimator
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter

SURROGATES: dict[str, Callable[[Score], Estimator | None]] = {
    "none": lambda score: None,
    "in_run": lambda score: InRun(),
    "metagradient": lambda score: Metagradient(score.seed, score.regression.check_smoothness),
}
ESTIMATORS: dict[str, Callable[[Score], Estimator]] = {
    "metagradient": lambda score: Metagradient(
        score.seed, score.metagradient.check_smoothness, score.metagradient.weighting, score.metagradient.redraw
    ),
    "in_run": lambda score: InRun(),
    "regression": lambda score: Regression(
        score.seed, score.regression.weighting, SURROGATES[score.regression.surrogate](score)
    ),
    "permutation": lambda score: Permutation(score.seed),
    "removal": lambda score: Removal(score.removal.n, score.removal.k, score.seed),
    "exact": lambda score: Exact(),
    "shapiq": lambda score: ShapiqAdapter(score.shapiq.approximator, score.budget.evaluations or 0, score.seed),
}
