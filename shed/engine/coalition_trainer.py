"""A coalition's tuning: from the weights of records to the utility of the model that was tuned on them.

In: a model, the encoded records that may be in a coalition, the dev set, and a `Regime`.
Out: `CoalitionTrainer.utilities(weights)`, for each coalition the dev utility after tuning on the records by their weights.

All coalitions share their randomness: the same initial LoRA weights and the same batches, from which absent records are dropped
(`with_draw` gives a trainer with others); a batch whose records are all absent is no step. A step's loss is the weighted sum of
its records' losses over the response tokens of the *whole* batch, so that a difference between two coalitions is their members
and nothing else.

K coalitions are tuned at once, batch by batch; shapes (K, …) have a row for each. They do not affect each other, except by
rounding, which depends on how many records go through the layers at once, and where one of them diverges.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shed.common.memory import free_memory
from shed.data.records import Record
from shed.data.tasks.combining import Combine
from shed.engine.batches import DevPart, Microbatch, length_batches
from shed.engine.lora_losses import LoraLosses
from shed.engine.optimizers import EPSILON, State, advance, column
from shed.engine.regime import Regime
from shed.engine.utility import NO_TASKS, DevSet, UtilityKind, dev_set
from shed.models.encoding import Encoded
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

COALITIONS_AT_ONCE = 8  # coalitions that are tuned together, at most, for speed
STATE_VECTORS, STATE_SHARE = 8, 0.25  # vectors of LoRA size that a coalition's tuning holds; of the memory that is free
DRAWS_APART = 1_000_003  # between the seeds of two draws, so that they meet no seed that anyone chooses


class AdamWTuning(NamedTuple):
    """Where an AdamW tuning on all records ends, (1, P), and the roots (P,) of the second moments of its gradients, averaged
    over its steps and over each LoRA matrix: `frozen_adam`'s.
    """

    weights: Tensor
    roots: Tensor


class CoalitionTrainer:
    """Tunes and measures coalitions of N records without loading anything twice; for arguments and errors see `LoraLosses`.

    Attributes:
        losses: the records' losses as functions of the LoRA weights.
        initial: (P,) the LoRA weights before tuning.
        batches: the members of each step, in order, the same for every coalition.
        members: the N encoded records that may be tuned on.
        candidates: the B encoded records that are never tuned on.
        lengths, candidate_lengths: tokens of the members (N,) and of the candidates (B,), which are never tuned on.
        dev_length: tokens of all dev texts; options that share a prompt have it once.
        dtype: the model's.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        members: Sequence[Encoded],
        dev: DevSet,
        regime: Regime,
        candidates: Sequence[Encoded] = (),
    ) -> None:
        self.regime = regime
        self.members, self.candidates = members, candidates
        self.dtype = str(model.dtype)
        self.losses = LoraLosses(model, members, dev, regime.lora, regime.seed, candidates)
        self.initial = self.losses.initial
        self.lengths = np.array([len(record.tokens) for record in members])
        self.candidate_lengths = np.array([len(record.tokens) for record in candidates], dtype=int)
        self.dev_length = self.losses.dev_length
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

    def with_draw(self, draw: int) -> "CoalitionTrainer":
        """This trainer with the initial weights and batches of another draw; draw 0 is its own.

        Frozen second moments stay those of draw 0.
        """
        if draw == 0:
            return self
        self.set_up()
        seed = self.regime.seed + DRAWS_APART * draw
        other = copy.copy(self)
        other.initial = self.losses.redrawn(seed)
        other.batches = length_batches(self.lengths.tolist(), self.regime.batch_size, self.regime.epochs, seed)
        return other

    @cached_property
    def at_once(self) -> int:
        """How many coalitions to tune together: as many as leave memory for the model's own work, and not too many."""
        vector = self.initial.numel() * self.initial.element_size()
        return max(1, min(COALITIONS_AT_ONCE, int(STATE_SHARE * free_memory(self.initial.device) / (STATE_VECTORS * vector))))

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
        rates = np.array([self.regime.lr_at(int(step), len(self.batches)) for step in number])
        return advance(self.regime, state, self.preconditioned(gradient), number, rates)

    def set_up(self) -> None:
        """Do now what the first evaluation would wait for, so that it counts to none."""
        if self.regime.optimizer == "frozen_adam":
            _ = self.adamw_tuning
        _ = self.untuned

    def preconditioned(self, gradient: Tensor) -> Tensor:
        """A gradient (K, P), or what stands for it under `frozen_adam`: over the roots of the frozen second moments."""
        return gradient / self.adamw_tuning.roots if self.regime.optimizer == "frozen_adam" else gradient

    @cached_property
    def adamw_tuning(self) -> AdamWTuning:
        """An AdamW tuning on all records, which costs one tuning, once."""
        return self.tune_by_adamw()

    def tune_by_adamw(self, before_step: Callable[[int, Tensor], object] | None = None) -> AdamWTuning:
        """An AdamW tuning on all records; `before_step` sees each step's place, from 0, and the weights (1, P) before it."""
        adamw = replace(self.regime, optimizer="adamw")
        state, everyone, moments = self.start(1), np.ones((1, len(self.lengths))), torch.zeros_like(self.initial)
        for step, batch in enumerate(self.batches, start=1):
            if before_step is not None:
                before_step(step - 1, state.weights)
            gradient = self.gradient(state.weights, batch, everyone)
            state = advance(adamw, state, gradient, np.array([step]), np.array([self.regime.lr_at(step, len(self.batches))]))
            moments += gradient[0].square() / len(self.batches)
        matrices = torch.split(moments, self.losses.matrix_sizes)
        roots = torch.cat([matrix.mean().sqrt().expand(len(matrix)) for matrix in matrices]) + EPSILON
        return AdamWTuning(state.weights, roots)

    @cached_property
    def untuned(self) -> np.ndarray:
        """(T,) the sums of dev from which gains count: the untuned model's where the least gain is utility, else 0."""
        return self.sums(self.initial[None])[0] if self.losses.dev_sums > 1 else np.zeros(1)

    @property
    def setup_fte(self) -> float:
        """What has to be tuned and measured before the first evaluation, in FTE."""
        tuned = 2.0 * self.regime.epochs * self.lengths.sum()
        first = (tuned if self.regime.optimizer == "frozen_adam" else 0.0) + self.dev_length * (self.losses.dev_sums > 1)
        return float(first / (tuned + self.dev_length))

    def gradient(self, at: Tensor, batch: Sequence[int], weights: np.ndarray) -> Tensor:
        """(K, P) the gradient of each coalition's weighted loss on a batch; records of weight 0 cost nothing."""

        def part(microbatch: Microbatch) -> tuple[np.ndarray, Tensor]:
            lora = at[microbatch.coalitions].detach().requires_grad_()
            losses = self.losses.member_losses(lora, microbatch.records, microbatch.rows)
            scaled = losses @ self.scale(batch, microbatch, weights).to(losses)
            return microbatch.coalitions, torch.autograd.grad(scaled, lora)[0]

        total = torch.zeros_like(at)
        parts = self.microbatches(batch, weights[:, batch] != 0)
        with self.losses.backward_pass(int(self.lengths[batch].max())):
            for coalitions, gradient in self.losses.cores.each(part, parts, Microbatch.halves):
                total[coalitions] += gradient
        return total

    def microbatches(self, records: Sequence[int] | np.ndarray, taken: np.ndarray) -> list[Microbatch]:
        """Who goes through the layers together: of the `records`, for each coalition those that `taken` (K, B) has.

        Records are in the order of coalitions, and of lengths within one, down and up in turn, so that neighbours are alike and
        the longest come first.
        """
        coalitions, places = np.nonzero(taken)
        own = np.asarray(records)[places]
        lengths = np.concatenate([self.lengths, self.candidate_lengths])[own]
        return [
            Microbatch(*np.unique(coalitions[run], return_inverse=True), own[run])
            for run in self.losses.cores.share(
                np.lexsort([lengths * (coalitions % 2 * 2 - 1), coalitions]).tolist(), lengths, self.losses.cores.chunk_tokens
            )
        ]

    def scale(self, batch: Sequence[int], microbatch: Microbatch, weights: np.ndarray) -> Tensor:
        """(B,) what each record's loss counts in its batch: its weight over the batch's response tokens."""
        own = np.asarray(weights, dtype=np.float64)[microbatch.coalitions[microbatch.rows], microbatch.records]
        return torch.from_numpy(own / self.losses.response_tokens(batch))

    def measure(self, lora: Tensor) -> np.ndarray:
        """Dev utilities (K,) of LoRA weights (K, P)."""
        utilities: np.ndarray = (self.sums(lora) - self.untuned).min(axis=1)  # of one sum itself; NaN stays NaN
        return utilities

    def sums(self, lora: Tensor) -> np.ndarray:
        """(K, T) the sums that utility is made of (`LoraLosses.dev_sums`), of LoRA weights (K, P)."""

        @torch.no_grad()
        def part(own: DevPart) -> tuple[int, int, float]:
            return own.row, own.task, float(self.losses.dev_terms(lora[own.row], own.records).double().sum())

        sums = np.zeros((len(lora), self.losses.dev_sums))
        for row, task, utility in self.losses.cores.each(part, self.losses.dev_parts(len(lora)), DevPart.halves):
            sums[row, task] += utility
        return sums

    def fine_tune_equivalents(self, weights: np.ndarray) -> float:
        """The cost in FTE of the utility at weights (N,): work for these records and dev, over work for all records and dev.

        A tuned token counts twice a measured one: with the layers' own weights frozen, the backward pass has one product for
        each of the forward pass's.
        """
        tuned = 2.0 * self.regime.epochs * self.lengths
        return float((tuned[weights != 0].sum() + self.dev_length) / (tuned.sum() + self.dev_length))


def load_trainer(
    spec: ModelSpec,
    members: Sequence[Record],
    dev: Sequence[Record],
    utility: UtilityKind,
    regime: Regime,
    candidates: Sequence[Record] = (),
    tasks: Mapping[str, float] = NO_TASKS,
    combine: Combine = "mean",
) -> CoalitionTrainer:
    """Load a model and encode the records that it is tuned and measured on.

    Raises:
        ShedError: a record cannot be tuned on or measured, or the model is of another shape.
    """
    language_model = load_language_model(spec)
    encoder = language_model.encoder
    own, others = (encoder.encode_all(records, end=True) for records in (members, candidates))
    return CoalitionTrainer(language_model.model, own, dev_set(utility, dev, encoder, tasks, combine), regime, others)


def present(weights: np.ndarray, batch: Sequence[int]) -> np.ndarray:
    """(K,) which coalitions have a record in this batch."""
    found: np.ndarray = np.any(weights[:, batch] != 0, axis=1)
    return found
