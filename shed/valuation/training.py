"""A coalition's tuning: from the weights of records to the utility of the model that was tuned on them.

In: a model, the encoded records that may be in a coalition, the dev set, and a scoring `Regime`.
Out: `CoalitionTrainer.utilities(weights)`, for each coalition the dev utility after tuning on the records by their weights.

All coalitions share their randomness: the same initial LoRA weights and the same batches, from which absent records are dropped
(`drawn` gives a trainer with others); a batch whose records are all absent is no step. A step's loss is the weighted sum of its
records' losses over the response tokens of the *whole* batch, so that a difference between two coalitions is their members and
nothing else.

K coalitions are tuned together, batch by batch: what is (K, ...) below has a row for each. They do not see each other, but for
the last digits, which depend on how many records go through the layers at once, and for what is infinite in one of them.
"""

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from shed.prompts import Encoded
from shed.valuation.top import Lora, TopLayers, length_batches
from shed.valuation.utility import DevSet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Optimizer = Literal["sgd", "adamw", "frozen_adam"]
DRAWS_APART = 1_000_003  # between the seeds of two draws, so that they meet no seed that anyone chooses
SECOND_BETA = 0.999
EPSILON = 1e-8


@dataclass(frozen=True)
class Regime:
    """The cheap training that utilities are measured in.

    Attributes:
        depth: how many top layers carry LoRA weights; None for all.
        r, alpha, modules: LoRA rank, scale (alpha / r) and the names of the linear layers that it is added to.
        optimizer, lr, momentum: SGD with momentum; AdamW without weight decay whose first beta is `momentum`; or `frozen_adam`,
            AdamW with one second moment for each LoRA matrix (Adam-mini, arXiv 2406.16793), taken from an AdamW tuning on all
            records and then kept: on all records it moves as far as AdamW, and it is smooth in the records' weights.
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
    optimizer: Optimizer
    lr: float
    momentum: float
    batch_size: int
    epochs: int
    schedule: Literal["constant", "linear"]
    warmup: float
    seed: int


class State(NamedTuple):
    """What a step changes: LoRA weights and the optimiser's two averages, each (K, P)."""

    weights: Tensor
    first: Tensor
    second: Tensor


class Tuned(NamedTuple):
    """Where an AdamW tuning on all records ends, (1, P), and the roots (P,) of the second moments of its gradients, meaned over
    its steps and over each LoRA matrix: `frozen_adam`'s.
    """

    weights: Tensor
    roots: Tensor


class CoalitionTrainer:
    """Tunes and measures coalitions of N records without loading anything twice; for arguments and errors see `TopLayers`.

    Attributes:
        top: the records' losses as functions of the LoRA weights.
        initial: (P,) the LoRA weights before tuning.
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
        self.initial = self.top.initial
        self.lengths = np.array([len(record.tokens) for record in members])
        self.bystander_lengths = np.array([len(record.tokens) for record in bystanders], dtype=int)
        self.dev_length = sum(len(sequence.tokens) for sequence in dev.sequences)
        self.batches = length_batches(self.lengths.tolist(), regime.batch_size, regime.epochs, regime.seed)

    def utilities(self, weights: np.ndarray) -> np.ndarray:
        """Dev utilities (K,) after tuning on the members by `weights`.

        Args:
            weights: (K, N) float, what each record's loss is multiplied with; 0 leaves it out.

        Returns:
            NaN or −inf where the tuning diverged.
        """
        state, taken = self.start(len(weights)), np.zeros(len(weights), dtype=int)
        for batch in self.batches:
            state, taken = self.step(state, taken, self.gradient(state.weights, batch, weights), present(weights, batch))
        return self.measure(state.weights)

    def drawn(self, draw: int) -> "CoalitionTrainer":
        """This trainer with the initial weights and batches of another draw; draw 0 is its own.

        Frozen second moments stay those of draw 0.
        """
        if draw == 0:
            return self
        self.set_up()
        seed = self.regime.seed + DRAWS_APART * draw
        other = copy.copy(self)
        other.initial = self.top.redrawn(seed)
        other.batches = length_batches(self.lengths.tolist(), self.regime.batch_size, self.regime.epochs, seed)
        return other

    def start(self, coalitions: int) -> State:
        """The state before the first step."""
        weights = self.initial.expand(coalitions, -1)
        return State(weights, torch.zeros_like(weights), torch.zeros_like(weights))

    def step(self, state: State, taken: np.ndarray, gradient: Tensor, moves: np.ndarray) -> tuple[State, np.ndarray]:
        """The state after a batch, and how many steps (K,) each coalition has taken; only those in `moves` (K,) take one."""
        taken = taken + moves
        after, rows = self.advance(state, gradient, np.maximum(taken, 1)), column(moves, gradient)
        moved = [old if new is old else torch.where(rows, new, old) for new, old in zip(after, state, strict=True)]
        return State(*moved), taken

    def advance(self, state: State, gradient: Tensor, number: np.ndarray) -> State:
        """The optimiser's step, which is the `number`-th (K,) of each coalition, from 1."""
        rates = np.array([self.lr(int(step)) for step in number])
        return advance(self.regime, state, self.preconditioned(gradient), number, rates)

    def set_up(self) -> None:
        """Do now what the first evaluation would wait for, so that it counts to none."""
        if self.regime.optimizer == "frozen_adam":
            _ = self.tuned

    def preconditioned(self, gradient: Tensor) -> Tensor:
        """A gradient (K, P), or what stands for it under `frozen_adam`: over the roots of the frozen second moments."""
        return gradient / self.tuned.roots if self.regime.optimizer == "frozen_adam" else gradient

    @cached_property
    def tuned(self) -> "Tuned":
        """An AdamW tuning on all records, which costs one tuning, once."""
        adamw = replace(self.regime, optimizer="adamw")
        state, everyone, moments = self.start(1), np.ones((1, len(self.lengths))), torch.zeros_like(self.initial)
        for step, batch in enumerate(self.batches, start=1):
            gradient = self.gradient(state.weights, batch, everyone)
            state = advance(adamw, state, gradient, np.array([step]), np.array([self.lr(step)]))
            moments += gradient[0].square() / len(self.batches)
        matrices = torch.split(moments, self.top.matrix_sizes)
        roots = torch.cat([matrix.mean().sqrt().expand(len(matrix)) for matrix in matrices]) + EPSILON
        return Tuned(state.weights, roots)

    @property
    def setup_fte(self) -> float:
        """What has to be tuned before the first evaluation, in FTE."""
        tuned = 2.0 * self.regime.epochs * self.lengths.sum()
        return float(tuned / (tuned + self.dev_length)) if self.regime.optimizer == "frozen_adam" else 0.0

    def lr(self, step: int) -> float:
        """The learning rate of step number `step`; transformers' linear schedule, without its first step of lr 0."""
        regime, steps = self.regime, len(self.batches)
        if regime.schedule == "constant":
            return regime.lr
        rising = round(regime.warmup * steps)
        return regime.lr * (step / rising if step < rising else (steps - step + 1) / (steps - rising + 1))

    def gradient(self, at: Tensor, batch: Sequence[int], weights: np.ndarray) -> Tensor:
        """(K, P) the gradient of each coalition's weighted loss on a batch; records of weight 0 cost nothing."""

        def part(seats: Seats) -> Tensor:
            lora = at[seats.coalitions].detach().requires_grad_()
            losses = self.top.member_losses(lora, seats.records, seats.rows)
            return torch.autograd.grad(losses @ self.scale(batch, seats, weights).to(losses), lora)[0]

        total = torch.zeros_like(at)
        parts = self.seats(batch, weights[:, batch] != 0)
        with short_attention(at.device):
            for seats, gradient in zip(parts, self.top.cores.each(part, parts), strict=True):
                total[seats.coalitions] += gradient
        return total

    def seats(self, records: Sequence[int] | np.ndarray, taken: np.ndarray) -> list["Seats"]:
        """Who goes through the layers together: of the `records`, for each coalition those that `taken` (K, B) has.

        Seats are in the order of coalitions, and of lengths within one, up and down in turn, so that neighbours are alike.
        """
        coalitions, places = np.nonzero(taken)
        own = np.asarray(records)[places]
        lengths = np.concatenate([self.lengths, self.bystander_lengths])[own]
        return [
            Seats(*np.unique(coalitions[run], return_inverse=True), own[run])
            for run in self.top.cores.share(
                np.lexsort([lengths * (1 - coalitions % 2 * 2), coalitions]).tolist(), lengths, self.top.cores.chunk_tokens
            )
        ]

    def scale(self, batch: Sequence[int], seats: "Seats", weights: np.ndarray) -> Tensor:
        """What each seat's loss counts in its batch: its record's weight over the batch's response tokens."""
        own = np.asarray(weights, dtype=np.float64)[seats.coalitions[seats.rows], seats.records]
        return torch.from_numpy(own / self.top.response_tokens(batch))

    def measure(self, lora: Tensor) -> np.ndarray:
        """Dev utilities (K,) of LoRA weights (K, P)."""

        @torch.no_grad()
        def part(own: tuple[list[int], Tensor]) -> float:
            return float(self.top.dev_terms(own[1], own[0]).double().sum())

        found = self.top.cores.map(part, product(self.top.dev_batches, lora))
        utilities: np.ndarray = np.reshape(found, (-1, len(lora))).sum(axis=0)
        return utilities

    def fine_tune_equivalents(self, weights: np.ndarray) -> float:
        """The cost in FTE of the utility at weights (N,): work for these records and dev, over work for all records and dev.

        A tuned token counts twice a measured one: with the layers' own weights frozen, the backward pass has one product for
        each of the forward pass's.
        """
        tuned = 2.0 * self.regime.epochs * self.lengths
        return float((tuned[weights != 0].sum() + self.dev_length) / (tuned.sum() + self.dev_length))


def short_attention(device: torch.device) -> AbstractContextManager[None]:
    """Attention by plain products where that is faster: the fused kernel's backward pass is slow on a processor."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


class Seats(NamedTuple):
    """Records that go through the layers together, each for a coalition.

    Attributes:
        coalitions: (C,) those that have one here.
        rows: (B,) each seat's place among them.
        records: (B,) each seat's record.
    """

    coalitions: np.ndarray
    rows: np.ndarray
    records: np.ndarray


def present(weights: np.ndarray, batch: Sequence[int]) -> np.ndarray:
    """(K,) which coalitions have a record in this batch."""
    found: np.ndarray = np.any(weights[:, batch] != 0, axis=1)
    return found


def column(values: np.ndarray, like: Tensor) -> Tensor:
    """Numbers or truths (K,) as a column (K, 1) beside `like`, numbers in its dtype."""
    own = torch.from_numpy(values[:, None]).to(like.device)
    return own if own.dtype == torch.bool else own.to(like.dtype)


def advance(regime: Regime, state: State, gradient: Tensor, number: np.ndarray, lr: np.ndarray) -> State:
    """The optimiser's step number `number` (K,), from 1, at `lr` (K,); a pure function, which may be differentiated.

    It is torch's SGD with momentum, or its AdamW without weight decay; for `frozen_adam` the gradient is preconditioned.
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
