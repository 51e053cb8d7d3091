"""The scoring regime: the cheap training that utilities are measured in.

In: values from params or from a caller. Out: a frozen `Regime`, which also says the learning rate of each step.
"""

from dataclasses import dataclass
from typing import Literal

from shed.models.specs import LoraSettings

Optimizer = Literal["sgd", "adamw", "frozen_adam"]


@dataclass(frozen=True)
class Regime:
    """How coalitions are tuned.

    Attributes:
        lora: where LoRA weights go.
        optimizer, lr, momentum: SGD with momentum; AdamW without weight decay, whose first beta is `momentum`; or
            `frozen_adam`: AdamW with one second moment for each LoRA matrix (Adam-mini, arXiv 2406.16793), taken from an AdamW
            tuning on all records and then kept. On all records it moves as far as AdamW, and it is smooth in the records'
            weights.
        batch_size: records a step, before absent ones are dropped.
        epochs: passes over the records.
        schedule: `constant` lr, or `linear`: up over the first `warmup` (a share of the steps), then down towards 0.
        warmup: see `schedule`.
        seed: of initial weights and batches.
    """

    lora: LoraSettings
    optimizer: Optimizer
    lr: float
    momentum: float
    batch_size: int
    epochs: int
    schedule: Literal["constant", "linear"]
    warmup: float
    seed: int

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of step number `step` of `steps`, from 1: transformers' linear schedule without its first step, of
        lr 0.
        """
        if self.schedule == "constant":
            return self.lr
        rising = round(self.warmup * steps)
        return self.lr * (step / rising if step < rising else (steps - step + 1) / (steps - rising + 1))
