"""The final tuning as params describe it."""

from shed.models.specs import LoraSettings
from shed.params import Params
from shed.tuning.finetuning import TuningSettings


def tuning_settings(params: Params, seed: int) -> TuningSettings:
    """Its settings under any seed."""
    final = params.finetune
    return TuningSettings(
        lora=LoraSettings(final.r, final.alpha, final.modules),
        lr=final.lr,
        warmup_ratio=final.warmup_ratio,
        batch_size=final.batch_size,
        epochs=final.epochs,
        seed=seed,
    )
