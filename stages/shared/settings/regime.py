"""The scoring regime as params describe it, for all that is measured in it."""

from shed.engine.regime import Regime
from shed.params import Params
from shed.settings import regime


def scoring_regime(params: Params, seed: int) -> Regime:
    """The cheap training in which utilities are measured."""
    return regime.scoring_regime(params.regime, seed)
