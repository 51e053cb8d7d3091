"""A regime that tunes the tiny model in a few steps; tests change what they are about."""

from dataclasses import replace
from typing import Any

from shed.engine.regime import Regime
from shed.models.specs import LoraSettings

REGIME = Regime(
    lora=LoraSettings(r=2, alpha=4, modules=["q_proj", "down_proj"]),
    optimizer="frozen_adam",
    lr=0.01,
    momentum=0.9,
    batch_size=4,
    epochs=2,
    schedule="linear",
    warmup=0.1,
    seed=3,
)


def regime(**changes: Any) -> Regime:
    """The regime with these changes."""
    return replace(REGIME, **changes)
