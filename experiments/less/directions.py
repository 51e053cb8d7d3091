"""Each record's own gradient in the LoRA weights, and the step that Adam would take on this record alone.

In: a trainer, LoRA weights (P,) and some of its records. Out: (B, P).

The engine runs records through the layers together, each under LoRA weights of its own. Here these are B copies of the same
weights, so that one backward pass gives the gradient of each record by itself.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from experiments.less.warm_up import Checkpoint
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.optimizers import EPSILON, SECOND_BETA


def record_gradients(trainer: CoalitionTrainer, at: Tensor, records: Sequence[int]) -> Tensor:
    """(B, P) the gradient of each record's mean nats per response token, at LoRA weights (P,).

    Args:
        records: members, and N + i for candidate i.
    """
    copies = at.detach().repeat(len(records), 1).requires_grad_()
    nats = trainer.losses.member_losses(copies, np.asarray(records), np.arange(len(records)))
    tokens = torch.tensor([trainer.losses.response_tokens([one]) for one in records]).to(nats)
    return torch.autograd.grad((nats / tokens).sum(), copies)[0]


def adam_steps(gradients: Tensor, checkpoint: Checkpoint, momentum: float) -> Tensor:
    """(B, P) what Adam's next step would subtract, over the learning rate, were the gradient that of one record alone.

    Args:
        momentum: the decay of the first moment, Adam's β₁.
    """
    number, state = checkpoint.steps + 1, checkpoint.state
    first = torch.lerp(gradients, state.first, momentum) / (1 - momentum**number)
    second = torch.lerp(gradients.square(), state.second, SECOND_BETA) / (1 - SECOND_BETA**number)
    return first.div_(second.sqrt_().add_(EPSILON))
