"""The final tuning.

In: the group `finetune`, and a seed. Out: what `shed.tuning` tunes by.
"""

from shed.models.specs import LoraSettings
from shed.params import Finetune
from shed.tuning.finetuning import TuningSettings


def tuning_settings(own: Finetune, seed: int) -> TuningSettings:
    """Of one run; `seed` draws the initial LoRA weights and the batches."""
    return TuningSettings(
        lora=LoraSettings(own.r, own.alpha, own.modules),
        lr=own.lr,
        warmup_ratio=own.warmup_ratio,
        batch_size=own.batch_size,
        epochs=own.epochs,
        seed=seed,
    )
