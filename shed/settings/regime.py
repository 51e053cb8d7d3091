"""The cheap training in which utilities are measured.

In: the group `regime`, and a seed. Out: what `shed.engine` tunes by.
"""

from shed.engine.regime import Regime
from shed.models.specs import LoraSettings
from shed.params import ScoringRegime


def scoring_regime(own: ScoringRegime, seed: int) -> Regime:
    """Its momentum and schedule included; `seed` draws the initial LoRA weights and the batches."""
    return Regime(
        lora=LoraSettings(own.r, own.alpha, own.modules, own.depth),
        optimizer=own.optimizer,
        lr=own.lr,
        momentum=own.momentum,
        batch_size=own.batch_size,
        epochs=own.epochs,
        schedule=own.schedule,
        warmup=own.warmup,
        seed=seed,
    )
