"""The estimator of the Shapley scores that settings name.

In: the settings of scoring. Out: an `Estimator`.
"""

from shed.params import Score
from shed.valuation.estimate import Estimator
from shed.valuation.estimators.exact import Exact
from shed.valuation.estimators.in_run import InRun
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.permutation import Permutation
from shed.valuation.estimators.regression import Regression
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter


def estimator(score: Score) -> Estimator:
    """The estimator, with its settings and the seed of scoring."""
    match score.method:
        case "metagradient":
            own = score.metagradient
            return Metagradient(score.seed, own.check_smoothness, own.weighting, own.redraw)
        case "in_run":
            return InRun()
        case "regression":
            return Regression(score.seed, score.regression.weighting, _surrogate(score))
        case "permutation":
            return Permutation(score.seed)
        case "removal":
            return Removal(score.removal.n, score.removal.k, score.seed)
        case "exact":
            return Exact()
        case "shapiq":
            return ShapiqAdapter(score.shapiq.approximator, score.budget.evaluations or 0, score.seed)


def _surrogate(score: Score) -> Estimator | None:
    match score.regression.surrogate:
        case "none":
            return None
        case "in_run":
            return InRun()
        case "metagradient":
            return Metagradient(score.seed, score.regression.check_smoothness)
