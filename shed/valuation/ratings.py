"""Ratings: what one more of each pool record would add to a model that already knows the form of an answer.

In: a pool, a dev set, a model and a regime. Out: a rating for each pool record, in units of dev utility. The pool is rated in
blocks, of which memory holds one.

To an untuned model nearly any record is of use: it shows what an answer looks like, and a wrong answer shows that, too. So the
model is first tuned on some random rows of the pool, the warm start, and then asked what it still lacks: the direction, in LoRA
weights, in which dev utility rises, in the steps that AdamW would take. A record is worth how far a step on it goes that way.
To first order this is −∇ℓ · direction, and here the central difference of its loss between both ends of a short way: two
forward passes for each record. The idea is LESS's (arXiv 2402.04333, section 3: warm-up, Adam's preconditioner, inner products
of gradients with dev's).

Where the worst of dev's tasks counts, there is a direction for each task, and a record is rated by each. Steps move the losses
of some tasks more than those of others, whatever the records. So each task's ratings are first scaled to the mean absolute
rating that the tasks have on average. The record's rating is the least of them.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from shed.common.errors import DivergenceError, ShedError
from shed.common.import_closure import code_digest
from shed.common.progress import track
from shed.data.records import Record
from shed.data.tasks.combining import Combine, tasks_that_count
from shed.engine.batches import halves
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.gradients import dev_gradients
from shed.engine.regime import Regime
from shed.engine.utility import NO_TASKS, UNITS, UtilityKind, dev_set
from shed.models.encoding import Encoded
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec
from shed.valuation.rated_blocks import RatedBlocks

BLOCK = 2048  # records that are encoded and rated together, and kept
STEP = 0.3  # from the warm start to either end, as a share of the regime's lr, which is about how far a step of AdamW goes
COUNTS: dict[str, Callable[[Encoded], int]] = {
    "tokens": lambda one: len(one.tokens),
    "cut": lambda one: one.cut,
    "turns_cut": lambda one: one.turns_cut,
    "response_cut": lambda one: one.response_cut,
}  # what is counted of each record


@dataclass(frozen=True)
class Ratings:
    """Ratings of a pool.

    Attributes:
        ids: of the records, in the pool's order.
        ratings: (N,) float64, in units of dev utility.
        metrics: cost and totals, flat.
    """

    ids: list[str]
    ratings: np.ndarray
    metrics: dict[str, float | int | str]


@dataclass(frozen=True)
class WarmStart:
    """A model that was tuned on random records, and both ends of a short way along which dev utility rises.

    Where the worst of T tasks counts, there is such a way for each task; else T is 1.

    Attributes:
        ends: (2 T, P) LoRA weights; the beginnings of all ways, then their ends.
        slopes: (T,) the difference of a record's nats between the ends of a way, times this, is its rating by this task.
        v_none, v_warm: dev utility before and after the tuning.
    """

    ends: Tensor
    slopes: np.ndarray
    v_none: float
    v_warm: float


def rate(
    pool: Sequence[Record],
    dev: Sequence[Record],
    model: ModelSpec,
    utility: UtilityKind | None,
    regime: Regime,
    warm_rows: int,
    kept: RatedBlocks | None = None,
    tasks: Mapping[str, float] = NO_TASKS,
    combine: Combine = "mean",
) -> Ratings:
    """Rate every pool record by what a step on it would add to dev utility, after a warm start.

    Args:
        pool: in memory, or a `RecordFile`.
        utility: what is measured on dev; None: `choice_loss` where all dev records have options, else `dev_loss`.
        regime: of the warm start, which is AdamW's whatever its optimiser; its seed also draws the rows of the warm start.
        warm_rows: how many random pool rows the warm start is tuned on; all, if the pool has fewer. They are rated, too.
        tasks: the share of each dev task, by its records' source; empty: dev is one task.
        combine: `worst`: a record's rating is the least of its ratings by the tasks that count, each scaled to the same mean
            absolute rating.
        kept: where the warm start and finished blocks are kept until all are rated; None: nowhere.

    Raises:
        ShedError: a record cannot be tuned on or measured, the model is of another shape, the warm start is of less than two
            steps, or after it dev utility or a rating is not finite, or its gradient is zero.
    """
    began = time.perf_counter()
    kind: UtilityKind = utility or ("choice_loss" if all(record.choices for record in dev) else "dev_loss")
    if warm_rows < 1:
        raise ShedError("without rows for the warm start nothing can be rated; set their number", "warm rows")
    warm = np.random.default_rng(regime.seed).permutation(len(pool))[:warm_rows]
    loaded = load_language_model(model)
    encoder = loaded.encoder
    members = encoder.encode_all((pool[i] for i in warm), end=True)
    measured = dev_set(kind, dev, encoder, tasks, combine)
    trainer = CoalitionTrainer(loaded.model, members, measured, replace(regime, optimizer="adamw"))
    kept = kept and kept.also(
        code=code_digest("shed.valuation.ratings"),
        versions={name: version(name) for name in ("torch", "transformers", "peft")},
        reads=[model.form, model.max_tokens],
        regime=asdict(regime),
        utility=kind,
        warm=[pool[i].id for i in warm],
        dev=[[one.id, one.choices, one.answer, one.source] for one in dev],
        tasks=dict(tasks),
        **({} if combine == "mean" else {"combine": combine}),
    )
    start = _warm_start(trainer, kept)
    rated_by = tasks_that_count(tasks) if combine == "worst" else []
    columns = [f"by_{name}" for name in rated_by] or ["rating"]
    blocks, bar = [], iter(track(range(len(pool)), "rating", "record"))
    for at in range(0, len(pool), BLOCK):
        records = pool[at : at + BLOCK]
        rows = kept.block(records) if kept else None
        if rows is None:
            encoded = encoder.encode_all(records, end=True)
            before, after = np.split(losses(trainer, start.ends, encoded, bar), 2)
            by_task = (before - after) * start.slopes[:, None]
            rows = pd.DataFrame({"id": [record.id for record in records], **dict(zip(columns, by_task, strict=True))})
            rows = rows.join(pd.DataFrame({name: [read(one) for one in encoded] for name, read in COUNTS.items()}))
            if kept:
                kept.keep_block(records, rows)
        else:
            deque(itertools.islice(bar, len(records)), maxlen=0)
        blocks.append(rows)
    deque(bar, maxlen=0)  # ends its line
    rated = pd.concat(blocks, ignore_index=True)
    by_task = rated[columns].to_numpy().T
    if not np.isfinite(by_task).all():
        raise DivergenceError(f"{(~np.isfinite(by_task)).any(axis=0).sum()} of {len(pool)} ratings are NaN")
    ratings, of_tasks = least(dict(zip(rated_by, by_task, strict=True))) if rated_by else (by_task[0], {})
    if kept:
        kept.forget()
    return Ratings(
        rated["id"].tolist(),
        ratings,
        {
            "utility": kind,
            "unit": UNITS[kind],
            "rated": len(pool),
            "warm_rows": len(warm),
            "dev_rows": len(dev),
            "v_none": start.v_none,
            "v_warm": start.v_warm,
            "rating_mean": float(ratings.mean()),
            "rating_std": float(ratings.std()),
            "harmful": int((ratings < 0).sum()),
            "token_passes": token_passes(trainer, int(rated["tokens"].sum())),
            "prompts_cut": int(((rated["cut"] > 0) | (rated["turns_cut"] > 0)).sum()),
            "prompt_tokens_cut": int(rated["cut"].sum()),
            "turns_cut": int(rated["turns_cut"].sum()),
            "responses_cut": int((rated["response_cut"] > 0).sum()),
            "response_tokens_cut": int(rated["response_cut"].sum()),
            **of_tasks,
            "seconds": time.perf_counter() - began,
        },
    )


def least(by_task: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, float | int | str]]:
    """The least of each record's ratings by tasks, each scaled so that all tasks have the same mean absolute rating.

    Scaled ratings keep their signs, and their unit, since that common mean is the mean of the tasks' own.

    Args:
        by_task: (N,) ratings by each task, under its name, in units of its own utility.

    Returns:
        (N,) float64; and for metrics each task's mean absolute rating, and for how many records the least is its.

    Raises:
        ShedError: by some task all records are rated 0.
    """
    own = np.array(list(by_task.values()))
    spreads = np.abs(own).mean(axis=1)
    if not spreads.all():
        name = list(by_task)[int(spreads.argmin())]
        raise ShedError(
            f"by the dev task {name} all ratings are 0, so that they cannot be compared with those by others; leave it out",
            "combination of dev tasks",
        )
    scaled = own * (spreads.mean() / spreads)[:, None]
    counts = np.bincount(scaled.argmin(axis=0), minlength=len(own)).tolist()
    metrics: dict[str, float | int | str] = {"combine": "worst"}
    for name, spread, count in zip(by_task, spreads.tolist(), counts, strict=True):
        metrics |= {f"mean_abs_rating_{name}": spread, f"least_{name}": count}
    return scaled.min(axis=0), metrics


def _warm_start(trainer: CoalitionTrainer, kept: RatedBlocks | None) -> WarmStart:
    """The warm start, as it was kept or made now."""
    if kept is not None:
        points, numbers = kept.array("ends"), kept.array("numbers")
        if points is not None and numbers is not None:
            *_, v_none, v_warm = numbers.tolist()
            return WarmStart(torch.from_numpy(points).to(trainer.initial.device), numbers[:-2], v_none, v_warm)
    if len(trainer.batches) < 2:
        raise ShedError(
            "the warm start of the ratings is a single step; raise the number of its rows or the epochs", "warm rows"
        )
    v_none = float(trainer.measure(trainer.initial[None])[0])
    tuned = trainer.adamw_tuning
    (gains,), (uphill,) = dev_gradients(trainer, tuned.weights)
    v_warm = float(gains.min())
    directions = uphill / tuned.roots
    spreads = [float(direction.square().mean().sqrt()) for direction in directions]
    if not (np.isfinite(v_warm) and np.isfinite(spreads).all() and min(spreads) > 0):
        raise DivergenceError("the warm start of the ratings diverged: the loss on dev is not finite or has no gradient")
    lengths = [STEP * trainer.regime.lr / spread for spread in spreads]
    tokens = np.mean([trainer.losses.response_tokens(batch) for batch in trainer.batches])
    ways = torch.stack([length * direction for length, direction in zip(lengths, directions, strict=True)])
    ends = torch.cat([tuned.weights - ways, tuned.weights + ways])
    slopes = np.array([trainer.regime.lr / (2 * length * tokens) for length in lengths])
    start = WarmStart(ends, slopes, v_none, v_warm)
    if kept is not None:
        kept.keep_array("ends", ends.cpu().numpy())
        kept.keep_array("numbers", np.array([*slopes, v_none, v_warm]))
    return start


def token_passes(trainer: CoalitionTrainer, rated: int) -> int:
    """What rating so many tokens costs, in the terms of an FTE, which has as many as
    `shed.valuation.proxy_game.ProxyGame.token_passes`.

    The warm start has a forward and a backward pass for each token, dev three passes, and every rated record two for each
    task that it is rated by.
    """
    warm = 2 * trainer.regime.epochs * trainer.lengths.sum()
    return int(warm + 3 * trainer.dev_length + 2 * trainer.losses.dev_sums * rated)


def losses(
    trainer: CoalitionTrainer, points: Tensor, records: Sequence[Encoded], bar: Iterator[object] | None = None
) -> np.ndarray:
    """(E, B) nats of each record's response, at each of some LoRA weights (E, P); the bar moves on by each record."""
    cores, lengths = trainer.losses.cores, np.array([len(record.tokens) for record in records])
    nats = np.empty((len(points), len(records)))

    @torch.no_grad()
    def part(batch: list[int]) -> tuple[list[int], Tensor]:
        return batch, trainer.losses.losses_at(points, [records[i] for i in batch])

    parts = cores.share(np.argsort(-lengths, kind="stable").tolist(), lengths, cores.chunk_tokens)
    for batch, own in cores.each(part, parts, halves):
        nats[:, batch] = own.double().cpu().numpy()
        if bar is not None:
            deque(itertools.islice(bar, len(batch)), maxlen=0)
    return nats
