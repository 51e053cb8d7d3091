"""What each record's weight does to utility, from one tuning: the gradient through it, or first-order effects along it.

In: a `CoalitionTrainer` and the weights of some coalitions, which are tuned together. Out: for each its utility and a number
for each record, in or out of it, and for each candidate.

With u the dev utility, s the state (LoRA weights, optimiser averages) and w the records' weights, step t is
s' = advance(s, g) with g = Σ_i w_i ∇ℓ_i(θ) / tokens. Walking back from ∂u/∂s at the end, with d the cotangent that reaches g:
∂u/∂w_i gains ∇ℓ_i · d / tokens, and the cotangent of θ gains H d, H the Hessian of the step's loss. For the records of the
coalition both are derivatives of g · d, in the weights and in θ; for the others one forward-mode pass in direction d gives
∇ℓ_i · d. Memory is that of a chunk of tokens on each core, plus 4 vectors of LoRA size for each step of each run, up to
KEPT_BYTES: a longer tuning is cut into segments, which are tuned again on the way back (metagradients: arXiv 2503.13751,
2504.16430).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from shed.common.progress import track
from shed.engine.batches import DevPart, Microbatch
from shed.engine.coalition_trainer import CoalitionTrainer, present
from shed.engine.optimizers import State, column

KEPT_BYTES = 2**30
RUNS_AT_ONCE = 2  # runs that are made together and keep their states: of a coalition and its complement


class Step(NamedTuple):
    """A batch as the tunings took it: the state before it, and for each coalition its step's number, whether it moved, and its
    gradient.
    """

    batch: list[int]
    before: State
    number: np.ndarray
    moves: np.ndarray
    gradient: Tensor


def metagradient(trainer: CoalitionTrainer, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Utilities (K,) after tuning by `weights` (K, N), and their gradients in them and in the candidates' weights.

    A candidate's is what the gradient would be if it stood in each epoch in a random batch (`_CandidateSlopes`).
    A gradient holds NaN where its tuning diverged. A batch whose weights are all 0 is no step, and there utility jumps
    when a weight leaves 0: for its records the gradient is what their loss alone would do at that point of the run.

    Returns:
        (K,) and (K, N + B) float64.
    """
    segments = _segments(trainer, len(weights))
    state, taken = trainer.start(len(weights)), np.zeros(len(weights), dtype=int)
    starts: list[tuple[State, np.ndarray]] = []
    steps: list[Step] = []
    for segment in segments:
        starts.append((state, taken))
        steps = []  # the states of one segment at a time
        steps, state, taken = _tune(trainer, segment, weights, state, taken)
    utilities, cotangent = dev_gradient(trainer, state.weights)
    zero = torch.zeros_like(cotangent)
    cotangents = State(cotangent, zero, zero)
    total, candidates = np.zeros(weights.shape), _CandidateSlopes(trainer, len(weights))
    bar = iter(track(range(len(trainer.batches)), "walking back", "step"))
    for number in reversed(range(len(segments))):
        if number < len(segments) - 1:
            steps = []
            steps, _, _ = _tune(trainer, segments[number], weights, *starts[number])
        for step in reversed(steps):
            next(bar)
            through, direction = _through_advance(trainer, step, cotangents)
            slopes, curvature = _slopes_and_curvature(trainer, step.before.weights, step.batch, weights, direction)
            total[:, step.batch] += slopes / trainer.losses.response_tokens(step.batch)
            candidates.add(step.before.weights, direction, step.batch)
            after, moves = through._replace(weights=through.weights + curvature), column(step.moves, curvature)
            cotangents = State(*(torch.where(moves, new, old) for new, old in zip(after, cotangents, strict=True)))
    return utilities, np.hstack([total, candidates.slopes()])


class _CandidateSlopes:
    """What a record's gradient is multiplied with in a run, summed over the steps as a random record meets them.

    A record stands in each epoch in one batch, in a large one more often than in a small one. One forward-mode pass in the
    summed direction, at the mean LoRA weights, stands for one at each step.
    """

    def __init__(self, trainer: CoalitionTrainer, coalitions: int) -> None:
        self._trainer = trainer
        self._at = torch.zeros_like(trainer.initial.expand(coalitions, -1))
        self._direction = torch.zeros_like(self._at)

    def add(self, at: Tensor, direction: Tensor, batch: list[int]) -> None:
        share = len(batch) / len(self._trainer.lengths)
        self._at += at * (share / self._trainer.regime.epochs)
        self._direction += direction * (share / self._trainer.losses.response_tokens(batch))

    def slopes(self) -> np.ndarray:
        """(K, B) float64."""
        first, count = len(self._trainer.lengths), len(self._trainer.candidate_lengths)
        records = np.arange(first, first + count)
        taken = np.ones((len(self._at), count), dtype=bool)
        slopes = np.zeros((len(self._at), first + count))
        _add_slopes(self._trainer, self._at, self._trainer.microbatches(records, taken), self._direction, slopes)
        return slopes[:, first:]


def _tune(
    trainer: CoalitionTrainer, segment: list[list[int]], weights: np.ndarray, state: State, taken: np.ndarray
) -> tuple[list[Step], State, np.ndarray]:
    """Tune on the batches of a segment, from a state after `taken` steps, and keep what walking back needs."""
    steps = []
    for batch in segment:
        gradient, moves = trainer.gradient(state.weights, batch, weights), present(weights, batch)
        steps.append(Step(batch, state, taken + 1, moves, gradient))
        state, taken = trainer.step(state, taken, gradient, moves)
    return steps, state, taken


def _segments(trainer: CoalitionTrainer, coalitions: int) -> list[list[list[int]]]:
    """The batches in segments whose states fit KEPT_BYTES; all but the last are tuned again on the way back."""
    vector = coalitions * trainer.initial.numel() * trainer.initial.element_size()
    length = max(1, KEPT_BYTES // (4 * vector))
    return [trainer.batches[at : at + length] for at in range(0, len(trainer.batches), length)]


def metagradient_fte(trainer: CoalitionTrainer, weights: np.ndarray) -> float:
    """The cost in FTE of `metagradient` at weights (N,), in the terms of `CoalitionTrainer.fine_tune_equivalents`.

    It adds to the tuning: for the records of the coalition four passes, a gradient and its derivative, and one tuning more of
    all segments but the last, as if two were run together; for the others, and for candidates, a forward-mode pass, which is
    two; and a backward pass over dev.
    """
    tuned = 2.0 * trainer.regime.epochs * trainer.lengths
    inside, everything = tuned[weights != 0].sum(), tuned.sum()
    again = 1 - len(_segments(trainer, RUNS_AT_ONCE)[-1]) / len(trainer.batches)
    return _fte(trainer, (1 + 2 + again) * inside + (everything - inside) + 2 * trainer.dev_length)


def in_run_fte(trainer: CoalitionTrainer, weights: np.ndarray) -> float:
    """The cost in FTE of `in_run` at weights (N,), in the terms of `CoalitionTrainer.fine_tune_equivalents`.

    It adds to the tuning: for all records, and for candidates, a forward-mode pass, which is two; and for each step a
    forward and a backward pass over dev.
    """
    tuned = 2.0 * trainer.regime.epochs * trainer.lengths
    return _fte(trainer, tuned[weights != 0].sum() + tuned.sum() + (1 + 2 * len(trainer.batches)) * trainer.dev_length)


def _fte(trainer: CoalitionTrainer, cost: float) -> float:
    everything = (2.0 * trainer.regime.epochs * trainer.lengths).sum()
    return float((cost + 2 * trainer.candidate_lengths.sum()) / (everything + trainer.dev_length))


def in_run(trainer: CoalitionTrainer, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Utilities (K,) after tuning by `weights` (K, N), and first-order effects on them along the runs, (K, N + B) float64.

    A record's effect is the sum over its steps of −lr · ∇ℓ_i · ∇u, taken at that step, over the batch's response tokens:
    what one plain gradient step on it would add to utility (In-Run Data Shapley, arXiv 2406.11011, section 4.1), or one with
    the preconditioner of `frozen_adam`. Momentum and AdamW's second moments are left out, so the scores have the unit of
    utility but not its scale.
    """
    state, taken = trainer.start(len(weights)), np.zeros(len(weights), dtype=int)
    total, candidates = np.zeros(weights.shape), _CandidateSlopes(trainer, len(weights))
    for batch in trainer.batches:
        _, uphill = dev_gradient(trainer, state.weights)
        rates = np.array([trainer.regime.lr_at(int(step) + 1, len(trainer.batches)) for step in taken])
        direction = -column(rates, uphill) * trainer.preconditioned(uphill)
        slopes = np.zeros(weights.shape)
        _add_slopes(trainer, state.weights, trainer.microbatches(batch, np.ones_like(weights[:, batch])), direction, slopes)
        total += slopes / trainer.losses.response_tokens(batch)
        candidates.add(state.weights, direction, batch)
        gradient = trainer.gradient(state.weights, batch, weights)
        state, taken = trainer.step(state, taken, gradient, present(weights, batch))
    return trainer.measure(state.weights), np.hstack([total, candidates.slopes()])


def dev_gradient(trainer: CoalitionTrainer, at: Tensor) -> tuple[np.ndarray, Tensor]:
    """Utilities (K,) and their gradients (K, P) in the LoRA weights.

    Where utility is the least gain among tasks, its gradient is that of the task that has gained least.
    """
    gains, uphill = dev_gradients(trainer, at)
    worst, rows = gains.argmin(axis=1), np.arange(len(at))  # of NaN the first
    return gains[rows, worst], uphill[rows, worst]


def dev_gradients(trainer: CoalitionTrainer, at: Tensor) -> tuple[np.ndarray, Tensor]:
    """Of each sum that utility is made of the gain (K, T), of which utility is the least, and its gradient (K, T, P).

    Each record goes through the layers once, since it is of one sum alone: several cost no more than one.
    """

    def part(own: DevPart) -> tuple[int, int, float, Tensor]:
        lora = at[own.row].detach().requires_grad_()
        terms = trainer.losses.dev_terms(lora, own.records)
        return own.row, own.task, float(terms.detach().double().sum()), torch.autograd.grad(terms.sum(), lora)[0]

    sums = np.zeros((len(at), trainer.losses.dev_sums))
    uphill = at.new_zeros((*sums.shape, at.shape[1]))
    with trainer.losses.backward_pass(trainer.losses.longest_dev):
        for row, task, value, gradient in trainer.losses.cores.each(part, trainer.losses.dev_parts(len(at)), DevPart.halves):
            sums[row, task] += value
            uphill[row, task] += gradient
    return sums - trainer.untuned, uphill


def _through_advance(trainer: CoalitionTrainer, step: Step, cotangents: State) -> tuple[State, Tensor]:
    """Pull cotangents of the new state back to the old one and to the step's gradient, as if every coalition moved."""
    inputs = [part.detach().requires_grad_() for part in (*step.before, step.gradient)]
    after = trainer.advance(State(*inputs[:3]), inputs[3], step.number)
    pairs = [(part, cotangent) for part, cotangent in zip(after, cotangents, strict=True) if part.requires_grad]
    outputs, pulled_from = zip(*pairs, strict=True)
    pulled = torch.autograd.grad(outputs, inputs, pulled_from, allow_unused=True, materialize_grads=True)
    return State(*pulled[:3]), pulled[3]


def _add_slopes(trainer: CoalitionTrainer, at: Tensor, parts: list[Microbatch], direction: Tensor, slopes: np.ndarray) -> None:
    """Put each record's ∇ℓ_i · direction into `slopes` (K, records), by forward-mode passes."""

    def part(microbatch: Microbatch) -> tuple[Microbatch, Tensor]:
        return microbatch, _directional(trainer, at[microbatch.coalitions], microbatch, direction, level)

    with _forward_mode() as level:
        for microbatch, own in trainer.losses.cores.each(part, parts, Microbatch.halves):
            slopes[microbatch.coalitions[microbatch.rows], microbatch.records] = own.double().cpu().numpy()


def _slopes_and_curvature(
    trainer: CoalitionTrainer, at: Tensor, batch: list[int], weights: np.ndarray, direction: Tensor
) -> tuple[np.ndarray, Tensor]:
    """∇ℓ_i · direction for each record of the batch, (K, B), and the Hessians of its weighted losses times it, (K, P).

    Records of weight 0 have no part in the Hessian: one forward-mode pass gives their slopes. Of long records the
    Hessian's part is the gradient of such a pass, whose layers are run again one by one, at half as many products more.
    """

    def inside(microbatch: Microbatch) -> tuple[Tensor, Tensor]:
        lora = at[microbatch.coalitions].detach().requires_grad_()
        if trainer.losses.recomputes:  # a gradient's own graph would keep all layers
            slopes = _directional(trainer, lora, microbatch, direction, level)
            (curvature,) = torch.autograd.grad(slopes @ trainer.scale(batch, microbatch, weights).to(slopes), lora)
            return slopes, curvature
        losses = trainer.losses.member_losses(lora, microbatch.records, microbatch.rows)
        scale = trainer.scale(batch, microbatch, weights).to(losses).requires_grad_()
        (gradient,) = torch.autograd.grad(losses @ scale, lora, create_graph=True)
        slopes, curvature = torch.autograd.grad((gradient * direction[microbatch.coalitions]).sum(), [scale, lora])
        return slopes, curvature

    def outside(microbatch: Microbatch) -> tuple[Tensor, None]:
        return _directional(trainer, at[microbatch.coalitions], microbatch, direction, level), None

    def part(own: tuple[bool, Microbatch]) -> tuple[Microbatch, Tensor, Tensor | None]:
        return own[1], *(inside if own[0] else outside)(own[1])

    def halves(own: tuple[bool, Microbatch]) -> list[tuple[bool, Microbatch]]:
        return [(own[0], half) for half in own[1].halves()]

    taken = weights[:, batch] != 0
    parts = [(True, microbatch) for microbatch in trainer.microbatches(batch, taken)]
    parts += [(False, microbatch) for microbatch in trainer.microbatches(batch, ~taken)]
    slopes, total = np.zeros(weights.shape), torch.zeros_like(at)
    with trainer.losses.backward_pass(int(trainer.lengths[batch].max())), _forward_mode() as level:
        for microbatch, own, curvature in trainer.losses.cores.each(part, parts, halves):
            slopes[microbatch.coalitions[microbatch.rows], microbatch.records] = own.detach().double().cpu().numpy()
            if curvature is not None:
                total[microbatch.coalitions] += curvature
    return slopes[:, batch], total


@contextmanager
def _forward_mode() -> Iterator[int]:
    """Forward-mode differentiation in all threads, at the level that it yields.

    Attention runs without its fused kernels, which have neither a forward mode nor a second derivative.
    """
    with sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level() as level:
        yield level


def _directional(trainer: CoalitionTrainer, at: Tensor, microbatch: Microbatch, direction: Tensor, level: int) -> Tensor:
    """(B,) ∇ℓ_i · direction at LoRA weights (C, P) of the coalitions that have a record here."""
    lora: Tensor = forward_ad.make_dual(at, direction[microbatch.coalitions], level=level)  # type: ignore[no-untyped-call]
    losses = trainer.losses.member_losses(lora, microbatch.records, microbatch.rows)
    return forward_ad.unpack_dual(losses, level=level).tangent.clone()  # type: ignore[no-untyped-call, no-any-return]
