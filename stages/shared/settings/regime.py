"""The scoring regime as params describe it, for all that is measured in it."""

from shed.engine.regime import Regime
from shed.models.specs import LoraSettings
from shed.params import Params


def scoring_regime(params: Params, seed: int) -> Regime:
    """The cheap training in which utilities are measured."""
    regime = params.regime
    return Regime(
        lora=LoraSettings(regime.r, regime.alpha, regime.modules, regime.depth),
        optimizer=regime.optimizer,
        lr=regime.lr,
        momentum=regime.momentum,
        batch_size=regime.batch_size,
        epochs=regime.epochs,
        schedule=regime.schedule,
        warmup=regime.warmup,
        seed=seed,
    )
