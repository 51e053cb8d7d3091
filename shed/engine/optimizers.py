"""Optimisers as pure functions of vectors, so that a whole tuning may be differentiated.

In: the state of K tunings, each (K, P), and a gradient. Out: the state after the step.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from shed.engine.regime import Regime

SECOND_BETA = 0.999
EPSILON = 1e-8


class State(NamedTuple):
    """What a step changes: LoRA weights and the optimiser's two averages, each (K, P)."""

    weights: Tensor
    first: Tensor
    second: Tensor


def advance(regime: Regime, state: State, gradient: Tensor, number: np.ndarray, lr: np.ndarray) -> State:
    """The optimiser's step.

    It is torch's SGD with momentum, or its AdamW without weight decay; for `frozen_adam` the gradient comes preconditioned.

    Args:
        number: (K,) which step of its own each coalition takes, from 1.
        lr: (K,) its learning rate.
    """
    rate = column(lr, gradient)
    if regime.optimizer == "sgd":
        first = regime.momentum * state.first + gradient
        return State(state.weights - rate * first, first, state.second)
    first = regime.momentum * state.first + (1 - regime.momentum) * gradient
    unbiased_first = first / column(1 - regime.momentum**number, gradient)
    if regime.optimizer == "frozen_adam":
        return State(state.weights - rate * unbiased_first, first, state.second)
    second = SECOND_BETA * state.second + (1 - SECOND_BETA) * gradient.square()
    unbiased_second = second / column(1 - SECOND_BETA**number, gradient)
    root = (unbiased_second + EPSILON**2).sqrt()  # finite slope where a gradient is exactly zero
    return State(state.weights - rate * unbiased_first / (root + EPSILON), first, second)


def column(values: np.ndarray, like: Tensor) -> Tensor:
    """Numbers or truth values (K,) as a column (K, 1) beside `like`, numbers in its dtype."""
    own = torch.from_numpy(values[:, None]).to(like.device)
    return own if own.dtype == torch.bool else own.to(like.dtype)
