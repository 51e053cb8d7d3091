"""A coalition's tuning: from the weights of records to the utility of the model that was tuned on them.

In: a model, the encoded records that may be in a coalition, the dev set, and a scoring `Regime`.
Out: `CoalitionTrainer.utility(weights)`, the dev utility after tuning on the records by their weights.

All coalitions share their randomness: the same initial LoRA weights and the same batches, from which absent records are
dropped; a batch whose records are all absent is no step. A step's loss is the weighted sum of its records' losses over the
response tokens of the *whole* batch, so that a difference between two coalitions is their members and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shed.prompts import Encoded
from shed.valuation.top import Lora, TopLayers, length_batches
from shed.valuation.utility import DevSet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SECOND_BETA = 0.999
EPSILON = 1e-8


@dataclass(frozen=True)
class Regime:
    """The cheap training that utilities are measured in.

    Attributes:
        depth: how many top layers carry LoRA weights; None for all.
        r, alpha, modules: LoRA rank, scale (alpha / r) and the names of the linear layers that it is added to.
        optimizer, lr, momentum: SGD with momentum, or AdamW without weight decay whose first beta is `momentum`.
        batch_size: records a step before absent ones are dropped.
        epochs: passes over the records.
        schedule: `constant` lr, or `linear`: up over the first `warmup` (a share of the steps), then down towards 0.
        warmup: see `schedule`.
        seed: of initial weights and batches.
    """

    depth: int | None
    r: int
    alpha: int
    modules: Sequence[str]
    optimizer: Literal["sgd", "adamw"]
    lr: float
    momentum: float
    batch_size: int
    epochs: int
    schedule: Literal["constant", "linear"]
    warmup: float
    seed: int


class State(NamedTuple):
    """What a step changes: LoRA weights and the optimiser's two averages, each (P,)."""

    weights: Tensor
    first: Tensor
    second: Tensor


class CoalitionTrainer:
    """Tunes and measures coalitions of N records without loading anything twice; for arguments and errors see `TopLayers`.

    Attributes:
        top: the records' losses as functions of the LoRA weights.
        batches: the members of each step, in order, the same for every coalition.
        lengths, bystander_lengths: (N,) and (B,) tokens.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        members: Sequence[Encoded],
        dev: DevSet,
        regime: Regime,
        bystanders: Sequence[Encoded] = (),
    ) -> None:
        self.regime = regime
        lora = Lora(regime.depth, regime.r, regime.alpha, regime.modules, regime.seed)
        self.top = TopLayers(model, members, dev, lora, bystanders)
        self.lengths = np.array([len(record.tokens) for record in members])
        self.bystander_lengths = np.array([len(record.tokens) for record in bystanders], dtype=int)
        self.dev_length = sum(len(sequence.tokens) for sequence in dev.sequences)
        self.batches = length_batches(self.lengths.tolist(), regime.batch_size, regime.epochs, regime.seed)

    def utility(self, weights: np.ndarray) -> float:
        """Dev utility after tuning on the members by `weights`.

        Args:
            weights: (N,) float, what each record's loss is multiplied with; 0 leaves it out.

        Returns:
            NaN or −inf where the tuning diverged.
        """
        state, step = self.start(), 0
        for batch in self.batches:
            if np.any(weights[batch]):
                step += 1
                state = self.advance(state, self.gradient(state.weights, batch, weights), step)
        return self.measure(state.weights)

    def start(self) -> State:
        """The state before the first step."""
        return State(self.top.initial, torch.zeros_like(self.top.initial), torch.zeros_like(self.top.initial))

    def advance(self, state: State, gradient: Tensor, step: int) -> State:
        """The optimiser's step number `step`, from 1."""
        return advance(self.regime, state, gradient, step, self.lr(step))

    def lr(self, step: int) -> float:
        """The learning rate of step number `step`; transformers' linear schedule, without its first step of lr 0."""
        regime, steps = self.regime, len(self.batches)
        if regime.schedule == "constant":
            return regime.lr
        rising = round(regime.warmup * steps)
        return regime.lr * (step / rising if step < rising else (steps - step + 1) / (steps - rising + 1))

    def gradient(self, at: Tensor, batch: Sequence[int], weights: np.ndarray) -> Tensor:
        """(P,) the gradient of a batch's weighted loss; records of weight 0 cost nothing, and one must have another weight."""

        def part(members: list[int]) -> Tensor:
            lora = at.detach().requires_grad_()
            losses = self.top.member_losses(lora, members)
            return torch.autograd.grad(losses @ self.scale(batch, members, weights).to(losses), lora)[0]

        present = [i for i in batch if weights[i] != 0]
        return torch.stack(self.top.cores.map(part, self.top.cores.share(present, self.lengths))).sum(0)

    def scale(self, batch: Sequence[int], members: Sequence[int], weights: np.ndarray) -> Tensor:
        """(B,) what each of these members' losses counts in its batch: its weight over the batch's response tokens."""
        return torch.from_numpy(np.asarray(weights, dtype=np.float64)[list(members)] / self.top.response_tokens(batch))

    def measure(self, lora: Tensor) -> float:
        """Dev utility of LoRA weights (P,)."""

        @torch.no_grad()
        def part(batch: list[int]) -> float:
            return float(self.top.dev_terms(lora, batch).double().sum())

        return sum(self.top.cores.map(part, self.top.dev_batches))

    def fine_tune_equivalents(self, weights: np.ndarray) -> float:
        """The cost of `utility(weights)` in FTE: work for these records and dev, over work for all records and dev.

        A tuned token counts twice a measured one: with the layers' own weights frozen, the backward pass has one product for
        each of the forward pass's.
        """
        tuned = 2.0 * self.regime.epochs * self.lengths
        return float((tuned[weights != 0].sum() + self.dev_length) / (tuned.sum() + self.dev_length))


def advance(regime: Regime, state: State, gradient: Tensor, step: int, lr: float) -> State:
    """The optimiser's step number `step`, from 1; a pure function, which may be differentiated.

    It is torch's SGD with momentum, or its AdamW without weight decay.
    """
    if regime.optimizer == "sgd":
        first = regime.momentum * state.first + gradient
        return State(state.weights - lr * first, first, state.second)
    first = regime.momentum * state.first + (1 - regime.momentum) * gradient
    second = SECOND_BETA * state.second + (1 - SECOND_BETA) * gradient.square()
    unbiased_first = first / (1 - regime.momentum**step)
    root = (second / (1 - SECOND_BETA**step) + EPSILON**2).sqrt()  # finite slope where a gradient is exactly zero
    return State(state.weights - lr * unbiased_first / (root + EPSILON), first, second)
