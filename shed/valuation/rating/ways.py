"""Where records are rated, and in which directions: a tuning on random rows, and the short ways along which dev utility rises.

In: a trainer of the random rows, and a method. Out: both ends of each way, what a record's change of loss between them counts,
and what all of it costs.

`warm` rates at the end of the tuning (LESS, arXiv 2402.04333, with its last checkpoint alone), `checkpoints` at the end of each
epoch, each by its own direction and mean learning rate (LESS, equation 3; TracIn, arXiv 2002.08484), and `in_run` along all
steps: dev's gradients are taken at each step, and their sum, each times its step's learning rate, is the direction at the mean
weights (In-Run Data Shapley, arXiv 2406.11011, section 4.1, with one pass for all steps).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shed.common.errors import DivergenceError, ShedError
from shed.common.progress import track
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.gradients import dev_gradients

STEP = 0.3  # from the middle of a way to either end, as a share of the regime's lr, which is about how far AdamW steps
RatingMethod = Literal["warm", "in_run", "checkpoints"]


@dataclass(frozen=True)
class WarmStart:
    """A model that was tuned on random records, and both ends of the short ways along which dev utility rises.

    Of K points of the tuning there are K ways; where the worst of T tasks counts, there is a way for each task at each point;
    else T is 1. A record's rating by a task is the sum over its ways.

    Attributes:
        ends: (2 K T, P) LoRA weights; the beginnings of all ways, then their ends; those of a point stand together.
        slopes: (K T,) the difference of a record's nats between the ends of a way, times this, is what the way adds to its
            rating.
        v_none, v_warm: dev utility before and after the tuning.
    """

    ends: Tensor
    slopes: np.ndarray
    v_none: float
    v_warm: float

    def ratings(self, nats: np.ndarray, tasks: int) -> np.ndarray:
        """(T, B) ratings of B records, whose nats (2 K T, B) at the ends these are."""
        before, after = np.split(nats, 2)
        own: np.ndarray = ((before - after) * self.slopes[:, None]).reshape(-1, tasks, nats.shape[1]).sum(axis=0)
        return own


class _Point(NamedTuple):
    """LoRA weights (1, P), and dev's gradients (T, P) there, each times the learning rate over a batch's response tokens."""

    at: Tensor
    uphill: Tensor


class _Tuned(NamedTuple):
    """The points at which records are rated, the roots (P,) of the second moments, and dev utility at the end."""

    points: list[_Point]
    roots: Tensor
    v_warm: float


def warm_start(trainer: CoalitionTrainer, method: RatingMethod) -> WarmStart:
    """Tune on the trainer's records, and find the ways up.

    Raises:
        ShedError: the tuning is of less than two steps, or after it dev utility is not finite, or a gradient is zero.
    """
    if len(trainer.batches) < 2:
        raise ShedError(
            "the warm start of the ratings is a single step; raise the number of its rows or the epochs", "warm rows"
        )
    v_none = float(trainer.measure(trainer.initial[None])[0])
    tuned = TUNED[method](trainer)
    ways, slopes = [], []
    for point in tuned.points:
        directions = point.uphill / tuned.roots
        spreads = directions.square().mean(dim=1).sqrt().double().cpu().numpy()
        if not (np.isfinite(tuned.v_warm) and np.isfinite(spreads).all() and spreads.min() > 0):
            raise DivergenceError("the warm start of the ratings diverged: the loss on dev is not finite or has no gradient")
        shares = STEP * trainer.regime.lr / spreads
        ways.append(directions * torch.from_numpy(shares).to(directions)[:, None])
        slopes.append(1 / (2 * shares))
    ends = [torch.cat([point.at + sign * way for point, way in zip(tuned.points, ways, strict=True)]) for sign in (-1, 1)]
    return WarmStart(torch.cat(ends).cpu(), np.concatenate(slopes), v_none, tuned.v_warm)


def points_of(method: RatingMethod, epochs: int) -> int:
    """At how many points of the tuning a record is rated."""
    return epochs if method == "checkpoints" else 1


def dev_passes(method: RatingMethod, epochs: int, steps: int) -> int:
    """How many passes over dev a warm start takes: a measurement, and a gradient, which is two, at each point that is used."""
    return {"warm": 1 + 2, "checkpoints": 1 + 2 * epochs, "in_run": 2 + 2 * steps}[method]


def token_passes(trainer: CoalitionTrainer, method: RatingMethod, rated: int) -> int:
    """What rating so many tokens costs, in the terms of an FTE, which has as many as
    `shed.valuation.proxy_game.ProxyGame.token_passes`.

    The warm start has a forward and a backward pass for each token, and its passes over dev; every rated record has two passes
    for each way that it is rated by.
    """
    regime = trainer.regime
    warm = 2 * regime.epochs * trainer.lengths.sum()
    on_dev = dev_passes(method, regime.epochs, len(trainer.batches)) * trainer.dev_length
    return int(warm + on_dev + 2 * trainer.losses.dev_sums * points_of(method, regime.epochs) * rated)


def _last(trainer: CoalitionTrainer) -> _Tuned:
    """The end of the tuning."""
    tuned = trainer.adamw_tuning
    (gains,), (uphill,) = dev_gradients(trainer, tuned.weights)
    return _Tuned(
        [_Point(tuned.weights, uphill * (trainer.regime.lr / _mean_tokens(trainer)))], tuned.roots, float(gains.min())
    )


def _ends_of_epochs(trainer: CoalitionTrainer) -> _Tuned:
    """The end of each epoch."""
    steps, epochs = len(trainer.batches), trainer.regime.epochs
    weights: list[Tensor] = []

    def keep(step: int, at: Tensor) -> None:
        if step and step % (steps // epochs) == 0:
            weights.append(at)

    tuned = trainer.tune_by_adamw(keep)
    weights.append(tuned.weights)
    gains, uphill = dev_gradients(trainer, torch.cat(weights))
    rates = np.array([trainer.regime.lr_at(step, steps) for step in range(1, steps + 1)]).reshape(epochs, -1).mean(axis=1)
    scales = (rates / _mean_tokens(trainer)).tolist()
    points = [_Point(at, own * scale) for at, own, scale in zip(weights, uphill, scales, strict=True)]
    return _Tuned(points, tuned.roots, float(gains[-1].min()))


def _along(trainer: CoalitionTrainer) -> _Tuned:
    """The mean weights of the tuning, with the gradients of all steps.

    Each step counts as often as a random record would stand in it: by its share of the records.
    """
    steps, bar = len(trainer.batches), iter(track(range(len(trainer.batches)), "dev's gradients", "step"))
    mean = torch.zeros_like(trainer.initial[None])
    total = mean.new_zeros(trainer.losses.dev_sums, mean.shape[1])

    def add(step: int, at: Tensor) -> None:
        next(bar)
        batch = trainer.batches[step]
        _, (uphill,) = dev_gradients(trainer, at)
        share = len(batch) / len(trainer.lengths)
        total.add_(uphill, alpha=share * trainer.regime.lr_at(step + 1, steps) / trainer.losses.response_tokens(batch))
        mean.add_(at, alpha=share / trainer.regime.epochs)

    tuned = trainer.tune_by_adamw(add)
    deque(bar, maxlen=0)  # ends its line
    return _Tuned([_Point(mean, total)], tuned.roots, float(trainer.measure(tuned.weights)[0]))


def _mean_tokens(trainer: CoalitionTrainer) -> float:
    """Response tokens of a batch."""
    return float(np.mean([trainer.losses.response_tokens(batch) for batch in trainer.batches]))


TUNED: dict[RatingMethod, Callable[[CoalitionTrainer], _Tuned]] = {
    "warm": _last,
    "checkpoints": _ends_of_epochs,
    "in_run": _along,
}
