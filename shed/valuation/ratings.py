"""Ratings: what one more of each pool record would add to a model that already knows the form of an answer.

In: a pool, a dev set, a model and a regime. Out: a rating for each pool record, in units of dev utility.

To an untuned model nearly any record is of use: it shows what an answer looks like, and a wrong answer shows that, too. So the
model is first tuned on some random rows of the pool, the warm start, and then asked what it still lacks: the direction, in LoRA
weights, in which dev utility rises, in the steps that AdamW would take. A record is worth how far a step on it goes that way.
To first order this is −∇ℓ · direction, and here the central difference of its loss between both ends of a short way: two
forward passes for each record. The idea is LESS's (arXiv 2402.04333, section 3: warm-up, Adam's preconditioner, inner products
of gradients with dev's).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from shed.common.errors import DivergenceError, ShedError
from shed.common.progress import track
from shed.data.records import Record
from shed.engine.batches import Microbatch
from shed.engine.coalition_trainer import CoalitionTrainer, load_trainer
from shed.engine.gradients import dev_gradient
from shed.engine.regime import Regime
from shed.engine.utility import UNITS, UtilityKind
from shed.models.encoding import cut_counts
from shed.models.specs import ModelSpec

STEP = 0.3  # from the warm start to either end, as a share of the regime's lr, which is about how far a step of AdamW goes


@dataclass(frozen=True)
class Ratings:
    """Ratings of a pool.

    Attributes:
        ratings: (N,) float64, in the pool's order, in units of dev utility.
        metrics: cost and totals, flat.
    """

    ratings: np.ndarray
    metrics: dict[str, float | int | str]


def rate(
    pool: Sequence[Record],
    dev: Sequence[Record],
    model: ModelSpec,
    utility: UtilityKind | None,
    regime: Regime,
    warm_rows: int,
) -> Ratings:
    """Rate every pool record by what a step on it would add to dev utility, after a warm start.

    Args:
        utility: what is measured on dev; None: `choice_loss` where all dev records have options, else `dev_loss`.
        regime: of the warm start, which is AdamW's whatever its optimiser; its seed also draws the rows of the warm start.
        warm_rows: how many random pool rows the warm start is tuned on; all, if the pool has fewer. They are rated, too.

    Raises:
        ShedError: a record cannot be tuned on or measured, the model is of another shape, the warm start is of less than two
            steps, or after it dev utility or a rating is not finite, or its gradient is zero.
    """
    began = time.perf_counter()
    kind: UtilityKind = utility or ("choice_loss" if all(record.choices for record in dev) else "dev_loss")
    if warm_rows < 1:
        raise ShedError("without rows for the warm start nothing can be rated; set their number", "warm rows")
    warm = np.random.default_rng(regime.seed).permutation(len(pool))[:warm_rows]
    trainer = load_trainer(model, [pool[i] for i in warm], dev, kind, replace(regime, optimizer="adamw"), pool)
    if len(trainer.batches) < 2:
        raise ShedError(
            "the warm start of the ratings is a single step; raise the number of its rows or the epochs", "warm rows"
        )
    v_none = float(trainer.measure(trainer.initial[None])[0])
    (v_warm,), uphill = dev_gradient(trainer, trainer.adamw_tuning.weights)
    direction = uphill / trainer.adamw_tuning.roots
    spread = float(direction.square().mean().sqrt())
    if not (np.isfinite(v_warm) and np.isfinite(spread) and spread > 0):
        raise DivergenceError("the warm start of the ratings diverged: the loss on dev is not finite or has no gradient")
    length = STEP * regime.lr / spread
    before, after = (losses(trainer, trainer.adamw_tuning.weights + side * length * direction) for side in (-1, 1))
    tokens = np.mean([trainer.losses.response_tokens(batch) for batch in trainer.batches])
    ratings = (before - after) / (2 * length) * regime.lr / tokens
    if not np.isfinite(ratings).all():
        raise DivergenceError(f"{(~np.isfinite(ratings)).sum()} of {len(pool)} ratings are NaN")
    return Ratings(
        ratings,
        {
            "utility": kind,
            "unit": UNITS[kind],
            "rated": len(pool),
            "warm_rows": len(warm),
            "dev_rows": len(dev),
            "v_none": v_none,
            "v_warm": float(v_warm),
            "rating_mean": float(ratings.mean()),
            "rating_std": float(ratings.std()),
            "harmful": int((ratings < 0).sum()),
            "token_passes": token_passes(trainer),
            **cut_counts(trainer.candidates),
            "seconds": time.perf_counter() - began,
        },
    )


def token_passes(trainer: CoalitionTrainer) -> int:
    """What rating costs, in the terms of an FTE, which has as many as `shed.valuation.proxy_game.ProxyGame.token_passes`.

    The warm start has a forward and a backward pass for each token, dev three passes, and every rated record two.
    """
    warm = 2 * trainer.regime.epochs * trainer.lengths.sum()
    return int(warm + 3 * trainer.dev_length + 2 * trainer.candidate_lengths.sum())


def losses(trainer: CoalitionTrainer, at: Tensor) -> np.ndarray:
    """(B,) nats of each candidate's response, at LoRA weights (1, P)."""
    first, count = len(trainer.lengths), len(trainer.candidate_lengths)
    nats = np.empty(first + count)
    parts = trainer.microbatches(np.arange(first, first + count), np.ones((1, count), dtype=bool))

    @torch.no_grad()
    def part(microbatch: Microbatch) -> Tensor:
        return trainer.losses.member_losses(at, microbatch.records, microbatch.rows)

    for microbatch, own in zip(
        parts, track(trainer.losses.cores.each(part, parts), "rating", "batch", len(parts)), strict=True
    ):
        nats[microbatch.records] = own.double().cpu().numpy()
    return nats[first:]
