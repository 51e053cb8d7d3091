"""The warm-up: an AdamW tuning on some random rows, and where it stands at the end of each epoch.

In: a trainer whose members are these rows. Out: a `Checkpoint` for each epoch, one at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from shed.common.errors import DivergenceError
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.optimizers import State


@dataclass(frozen=True)
class Checkpoint:
    """The end of an epoch.

    Attributes:
        state: LoRA weights and the optimiser's two moments, each (1, P).
        steps: how many have been taken from the start.
    """

    state: State
    steps: int


def checkpoints(trainer: CoalitionTrainer) -> Iterator[Checkpoint]:
    """Tune on all members, and stop at the end of each epoch.

    Raises:
        DivergenceError: weights are no longer finite.
    """
    state, everyone = trainer.start(1), np.ones((1, len(trainer.members)))
    each = steps_per_epoch(trainer)
    for number, batch in enumerate(trainer.batches, start=1):
        state = trainer.advance(state, trainer.gradient(state.weights, batch, everyone), np.array([number]))
        if number % each == 0:
            if not torch.isfinite(state.weights).all():
                raise DivergenceError(f"the warm-up diverged in epoch {number // each}: weights are not finite")
            yield Checkpoint(state, number)


def mean_rates(trainer: CoalitionTrainer) -> np.ndarray:
    """(E,) the mean learning rate of each epoch's steps."""
    steps = len(trainer.batches)
    rates = np.array([trainer.regime.lr_at(number, steps) for number in range(1, steps + 1)])
    means: np.ndarray = rates.reshape(-1, steps_per_epoch(trainer)).mean(axis=1)
    return means


def steps_per_epoch(trainer: CoalitionTrainer) -> int:
    """How many batches an epoch has; all epochs have as many."""
    return len(trainer.batches) // trainer.regime.epochs
