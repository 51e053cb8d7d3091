"""The final tuning as params describe it."""

from shed.params import Params
from shed.settings import tuning
from shed.tuning.finetuning import TuningSettings


def tuning_settings(params: Params, seed: int) -> TuningSettings:
    """Its settings under any seed."""
    return tuning.tuning_settings(params.finetune, seed)
