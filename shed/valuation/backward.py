"""What each record's weight does to utility, from one tuning: the gradient through it, or first-order effects along it.

In: a `CoalitionTrainer` and weights. Out: the utility and a number for each record, in or out of the coalition, and for each
bystander.

With u the dev utility, s the state (LoRA weights, optimiser averages) and w the records' weights, step t is
s' = advance(s, g) with g = Σ_i w_i ∇ℓ_i(θ) / tokens. Walking back from ∂u/∂s at the end, with d the cotangent that reaches g:
∂u/∂w_i gains ∇ℓ_i · d / tokens, and the cotangent of θ gains H d, H the Hessian of the step's loss. For the records of the
coalition both are derivatives of g · d, in the weights and in θ; for the others one forward-mode pass in direction d gives
∇ℓ_i · d. Memory is that of CHUNK_TOKENS tokens on each core, plus 4 vectors of LoRA size for each step, up to KEPT_BYTES: a
longer tuning is cut into segments, which are tuned again on the way back (metagradients: arXiv 2503.13751, 2504.16430).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from shed.progress import track
from shed.valuation.game import Attribution
from shed.valuation.training import CoalitionTrainer, State

CHUNK_TOKENS = 256
KEPT_BYTES = 2**30


class Walked(NamedTuple):
    """A batch as the tuning took it: its step's number, the state before it, and its gradient, None if it was no step."""

    batch: list[int]
    step: int
    before: State
    gradient: Tensor | None


def metagradient(trainer: CoalitionTrainer, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Utility after tuning by `weights` (N,), and its gradient in them and in the bystanders' weight, (N + B,) float64.

    A bystander's is what the gradient would be if it stood in each epoch in a random batch (`_Pull`).
    The gradient holds NaN where the tuning diverged. A batch whose weights are all 0 is no step, and there utility jumps
    when a weight leaves 0: for its records the gradient is what their loss alone would do at that point of the run.
    """
    segments = _segments(trainer)
    state, step = trainer.start(), 0
    starts: list[tuple[State, int]] = []
    walked: list[Walked] = []
    for segment in segments:
        starts.append((state, step))
        walked = []  # the states of one segment at a time
        walked, state, step = _walk(trainer, segment, weights, state, step)
    utility, cotangent = _dev_gradient(trainer, state.weights)
    zero = torch.zeros_like(cotangent)
    cotangents = State(cotangent, zero, zero)
    total, pull = np.zeros(len(weights)), _Pull(trainer)
    bar = iter(track(range(len(trainer.batches)), "walking back", "step"))
    for number in reversed(range(len(segments))):
        if number < len(segments) - 1:
            walked = []
            walked, _, _ = _walk(trainer, segments[number], weights, *starts[number])
        for batch, step, state, taken in reversed(walked):
            next(bar)
            through, direction = _through_advance(trainer, state, zero if taken is None else taken, step, cotangents)
            slopes, curvature = _slopes_and_curvature(trainer, state.weights, batch, weights, direction)
            total[batch] += slopes.double().cpu().numpy() / trainer.top.response_tokens(batch)
            pull.add(state.weights, direction, batch)
            if taken is not None:
                cotangents = through._replace(weights=through.weights + curvature)
    return utility, np.concatenate([total, pull.on_bystanders()])


class _Pull:
    """What a record's gradient is multiplied with in a run, summed over the steps as a random record meets them.

    A record stands in each epoch in one batch, in a large one more often than in a small one. One forward-mode pass in the
    summed direction, at the mean LoRA weights, stands for one at each step.
    """

    def __init__(self, trainer: CoalitionTrainer) -> None:
        self._trainer = trainer
        self._at, self._direction = torch.zeros_like(trainer.top.initial), torch.zeros_like(trainer.top.initial)

    def add(self, at: Tensor, direction: Tensor, batch: list[int]) -> None:
        share = len(batch) / len(self._trainer.lengths)
        self._at += at * (share / self._trainer.regime.epochs)
        self._direction += direction * (share / self._trainer.top.response_tokens(batch))

    def on_bystanders(self) -> np.ndarray:
        """(B,) float64."""
        lengths = self._trainer.bystander_lengths
        slopes = np.zeros(len(lengths))
        if len(lengths):
            first = len(self._trainer.lengths)
            shares = self._trainer.top.cores.share(range(len(lengths)), lengths, CHUNK_TOKENS)
            groups = [[first + i for i in share] for share in shares]
            for share, found in zip(shares, _slopes(self._trainer, self._at, groups, self._direction), strict=True):
                slopes[share] = found.double().cpu().numpy()
        return slopes


def _walk(
    trainer: CoalitionTrainer, segment: list[list[int]], weights: np.ndarray, state: State, step: int
) -> tuple[list[Walked], State, int]:
    """Tune on the batches of a segment, from a state after `step` steps, and keep what walking back needs."""
    walked = []
    for batch in segment:
        gradient = trainer.gradient(state.weights, batch, weights) if np.any(weights[batch]) else None
        walked.append(Walked(batch, step + 1, state, gradient))
        if gradient is not None:
            step += 1
            state = trainer.advance(state, gradient, step)
    return walked, state, step


def _segments(trainer: CoalitionTrainer) -> list[list[list[int]]]:
    """The batches in segments whose states fit KEPT_BYTES; all but the last are tuned again on the way back."""
    length = max(1, KEPT_BYTES // (4 * trainer.top.initial.numel() * trainer.top.initial.element_size()))
    return [trainer.batches[at : at + length] for at in range(0, len(trainer.batches), length)]


def fine_tune_equivalents(trainer: CoalitionTrainer, weights: np.ndarray, how: Attribution) -> float:
    """The cost in FTE of a run with marginals, in the terms of `CoalitionTrainer.fine_tune_equivalents`.

    `metagradient` adds to the tuning: for the records of the coalition four passes, a gradient and its derivative, and one
    tuning more of all segments but the last; for the others a forward-mode pass, which is two; a backward pass over dev.
    `in_run` adds for all records a forward-mode pass, and for each step a forward and a backward pass over dev. Both add a
    forward-mode pass over bystanders.
    """
    tuned, dev = 2.0 * trainer.regime.epochs * trainer.lengths, trainer.dev_length
    present, everything = tuned[weights != 0].sum(), tuned.sum()
    if how == "metagradient":
        again = 1 - len(_segments(trainer)[-1]) / len(trainer.batches)
        cost = (1 + 2 + again) * present + (everything - present) + 2 * dev
    else:
        cost = present + everything + (1 + 2 * len(trainer.batches)) * dev
    return float((cost + 2 * trainer.bystander_lengths.sum()) / (everything + dev))


def in_run(trainer: CoalitionTrainer, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Utility after tuning by `weights` (N,), and first-order effects on it along the run, (N + B,) float64.

    A record's effect is the sum over its steps of −lr · ∇ℓ_i · ∇u, taken at that step, over the batch's response tokens:
    what one plain gradient step on it would add to utility (In-Run Data Shapley, arXiv 2406.11011, section 4.1). Momentum
    and preconditioning are left out, so the scores have the unit of utility but not its scale.
    """
    state, step = trainer.start(), 0
    total, pull = np.zeros(len(weights)), _Pull(trainer)
    for batch in trainer.batches:
        _, uphill = _dev_gradient(trainer, state.weights)
        direction = -trainer.lr(step + 1) * uphill
        groups = trainer.top.cores.share(batch, trainer.lengths, CHUNK_TOKENS)
        for group, slopes in zip(groups, _slopes(trainer, state.weights, groups, direction), strict=True):
            total[group] += slopes.double().cpu().numpy() / trainer.top.response_tokens(batch)
        pull.add(state.weights, direction, batch)
        if np.any(weights[batch]):
            step += 1
            state = trainer.advance(state, trainer.gradient(state.weights, batch, weights), step)
    return trainer.measure(state.weights), np.concatenate([total, pull.on_bystanders()])


def _dev_gradient(trainer: CoalitionTrainer, at: Tensor) -> tuple[float, Tensor]:
    """Utility and its gradient (P,) in the LoRA weights."""

    def part(batch: list[int]) -> tuple[float, Tensor]:
        lora = at.detach().requires_grad_()
        terms = trainer.top.dev_terms(lora, batch)
        return float(terms.detach().double().sum()), torch.autograd.grad(terms.sum(), lora)[0]

    parts = trainer.top.cores.map(part, trainer.top.dev_batches)
    return sum(utility for utility, _ in parts), torch.stack([gradient for _, gradient in parts]).sum(0)


def _through_advance(
    trainer: CoalitionTrainer, state: State, gradient: Tensor, step: int, cotangents: State
) -> tuple[State, Tensor]:
    """Pull cotangents of the new state back to the old one and to the step's gradient."""
    inputs = [part.detach().requires_grad_() for part in (*state, gradient)]
    after = trainer.advance(State(*inputs[:3]), inputs[3], step)
    pairs = [(part, cotangent) for part, cotangent in zip(after, cotangents, strict=True) if part.requires_grad]
    outputs, pulled_from = zip(*pairs, strict=True)
    pulled = torch.autograd.grad(outputs, inputs, pulled_from, allow_unused=True, materialize_grads=True)
    return State(*pulled[:3]), pulled[3]


def _slopes(trainer: CoalitionTrainer, at: Tensor, groups: list[list[int]], direction: Tensor) -> list[Tensor]:
    """For each group of records their ∇ℓ_i · direction, by one forward-mode pass."""
    with _forward_mode() as level:
        return trainer.top.cores.map(lambda group: _forward(trainer, at, group, direction, level), groups)


def _slopes_and_curvature(
    trainer: CoalitionTrainer, at: Tensor, batch: list[int], weights: np.ndarray, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """∇ℓ_i · direction for each record of the batch, (B,), and the Hessian of the batch's weighted loss times it, (P,).

    Records of weight 0 have no part in the Hessian: one forward-mode pass gives their slopes.
    """

    def absent(members: list[int]) -> tuple[Tensor, Tensor]:
        return _forward(trainer, at, members, direction, level), zero

    def present(members: list[int]) -> tuple[Tensor, Tensor]:
        lora = at.detach().requires_grad_()
        losses = trainer.top.member_losses(lora, members)
        scale = trainer.scale(batch, members, weights).to(losses).requires_grad_()
        (gradient,) = torch.autograd.grad(losses @ scale, lora, create_graph=True)
        slopes, curvature = torch.autograd.grad(gradient @ direction, [scale, lora])
        return slopes, curvature

    cores, zero = trainer.top.cores, torch.zeros_like(at)
    within = cores.share([i for i in batch if weights[i] != 0], trainer.lengths, CHUNK_TOKENS)
    without = cores.share([i for i in batch if weights[i] == 0], trainer.lengths, CHUNK_TOKENS)
    parts = [(present, members) for members in within] + [(absent, members) for members in without]
    with _forward_mode() as level:
        found = cores.map(lambda part: part[0](part[1]), parts)
    place = {i: at for at, i in enumerate(batch)}
    slopes = torch.zeros(len(batch), dtype=at.dtype, device=at.device)
    for (_, members), (own, _) in zip(parts, found, strict=True):
        slopes[[place[i] for i in members]] = own.to(slopes)
    return slopes, torch.stack([curvature for _, curvature in found]).sum(0)


@contextmanager
def _forward_mode() -> Iterator[int]:
    """Forward-mode differentiation in all threads, at the level that it yields.

    Attention runs without its fused kernels, which have neither a forward mode nor a second derivative.
    """
    with sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level() as level:
        yield level


def _forward(trainer: CoalitionTrainer, at: Tensor, records: list[int], direction: Tensor, level: int) -> Tensor:
    lora: Tensor = forward_ad.make_dual(at.detach(), direction, level=level)  # type: ignore[no-untyped-call]
    losses = trainer.top.member_losses(lora, records)
    return forward_ad.unpack_dual(losses, level=level).tangent.clone()  # type: ignore[no-untyped-call, no-any-return]
