"""Ratings: what one more of each pool record would add to a model that already knows the form of an answer.

In: a pool, a dev set, a model and a regime. Out: a rating for each pool record, or for a part of them that is worth rating, in
units of dev utility. The pool is rated in blocks, of which memory holds one.

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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch

from shed.common.errors import DivergenceError, ShedError
from shed.common.import_closure import code_digest
from shed.common.progress import track
from shed.data.records import Record
from shed.data.tasks.combining import Combine, tasks_that_count
from shed.engine.regime import Regime
from shed.engine.utility import NO_TASKS, UNITS, UtilityKind
from shed.models.parallel import threads_used
from shed.models.specs import ModelSpec
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.rating.rater import LoadRater, Rater, RatersElsewhere, columns_of, raters
from shed.valuation.rating.ways import RatingMethod, WarmStart
from shed.valuation.screening import drawn, promising
from shed.workers.contract import Engine
from shed.workers.sameness import ModelThere

BLOCK = 2048  # records that are encoded and rated together, and kept


@dataclass(frozen=True)
class Ratings:
    """Ratings of a pool.

    Attributes:
        ids: of the N records that were rated, in the pool's order.
        ratings: (N,) float64, in units of dev utility.
        metrics: cost and totals, flat.
    """

    ids: list[str]
    ratings: np.ndarray
    metrics: dict[str, float | int | str]


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
    screen: float | None = None,
    engine: Engine | None = None,
    method: RatingMethod = "warm",
) -> Ratings:
    """Rate pool records by what a step on each would add to dev utility, after a warm start.

    Args:
        pool: in memory, or a `RecordFile`.
        utility: what is measured on dev; None: `choice_loss` where all dev records have options, else `dev_loss`.
        regime: of the warm start, which is AdamW's whatever its optimiser; its seed also draws the rows of the warm start.
        warm_rows: how many random pool rows the warm start is tuned on; all, if the pool has fewer. They are rated, too.
        tasks: the share of each dev task, by its records' source; empty: dev is one task.
        combine: `worst`: a record's rating is the least of its ratings by the tasks that count, each scaled to the same mean
            absolute rating.
        kept: where the warm start and finished blocks are kept until all are rated; None: nowhere.
        screen: the share of the pool that is rated, of which a part is drawn and the rest is what seems to be best, as
            `shed.valuation.screening` has it; None: all is rated.
        engine: where blocks are rated; None: in this process. Ratings are the same.
        method: at which points of the warm start, and in which directions; see `shed.valuation.rating.ways`.

    Raises:
        ShedError: a record cannot be tuned on or measured, the model is of another shape, the warm start is of less than two
            steps, or after it dev utility or a rating is not finite, or its gradient is zero.
    """
    began = time.perf_counter()
    kind: UtilityKind = utility or ("choice_loss" if all(record.choices for record in dev) else "dev_loss")
    if warm_rows < 1:
        raise ShedError("without rows for the warm start nothing can be rated; set their number", "warm rows")
    warm = np.random.default_rng(regime.seed).permutation(len(pool))[:warm_rows]
    kept = kept and kept.also(
        code=code_digest("shed.valuation.ratings"),
        threads=threads_used(),
        versions={name: version(name) for name in ("torch", "transformers", "peft")},
        reads=[model.form, model.max_tokens],
        regime=asdict(regime),
        utility=kind,
        warm=[pool[i].id for i in warm],
        dev=[[one.id, one.choices, one.answer, one.source] for one in dev],
        tasks=dict(tasks),
        method=method,
        **({} if combine == "mean" else {"combine": combine}),
    )
    rated_by = tasks_that_count(tasks) if combine == "worst" else []
    columns = columns_of(tasks, combine)
    first = np.arange(len(pool)) if screen is None else drawn(len(pool), screen, regime.seed)

    def ratings_of(rows: pd.DataFrame) -> tuple[np.ndarray, dict[str, float | int | str]]:
        by_task = rows[columns].to_numpy().T
        if not np.isfinite(by_task).all():
            raise DivergenceError(f"{(~np.isfinite(by_task)).any(axis=0).sum()} of {len(rows)} ratings are NaN")
        return least(dict(zip(rated_by, by_task, strict=True))) if rated_by else (by_task[0], {})

    there = ModelThere.of(model) if engine else ModelThere(model, None)
    load = LoadRater(there, [pool[i] for i in warm.tolist()], dev, kind, regime, dict(tasks), combine, method)
    with raters(load, engine) as rater:
        start = _warm_start(rater, kept)
        rated = _rows(rater, pool, first, start, kept, "rating")
        if screen is not None:
            found, _ = ratings_of(rated)
            others = promising(pool, screen, first, found, rated["response_tokens"].to_numpy())
            best = _rows(rater, pool, others, start, kept, "rating the best")
            rated = pd.concat([rated, best]).sort_values("place", ignore_index=True)
        passes = rater.token_passes(int(rated["tokens"].sum()))
    ratings, of_tasks = ratings_of(rated)
    if kept:
        kept.forget()
    return Ratings(
        rated["id"].tolist(),
        ratings,
        {
            "utility": kind,
            "unit": UNITS[kind],
            "method": method,
            "rated": len(rated),
            **({} if screen is None else {"screened_out": len(pool) - len(rated)}),
            "warm_rows": len(warm),
            "dev_rows": len(dev),
            "v_none": start.v_none,
            "v_warm": start.v_warm,
            "rating_mean": float(ratings.mean()),
            "rating_std": float(ratings.std()),
            "harmful": int((ratings < 0).sum()),
            "token_passes": passes,
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


def _warm_start(rater: Rater | RatersElsewhere, kept: RatedBlocks | None) -> WarmStart:
    """The warm start, as it was kept or made now."""
    if kept is not None:
        points, numbers = kept.array("ends"), kept.array("numbers")
        if points is not None and numbers is not None:
            *_, v_none, v_warm = numbers.tolist()
            return WarmStart(torch.from_numpy(points), numbers[:-2], v_none, v_warm)
    start = rater.warm_start()
    if kept is not None:
        kept.keep_array("ends", start.ends.numpy())
        kept.keep_array("numbers", np.array([*start.slopes, start.v_none, start.v_warm]))
    return start


def _rows(
    rater: Rater | RatersElsewhere,
    pool: Sequence[Record],
    places: np.ndarray,
    start: WarmStart,
    kept: RatedBlocks | None,
    name: str,
) -> pd.DataFrame:
    """A row for each of these records of the pool, with its `place`; the bar of progress has this name."""
    bar, blocks = iter(track(range(len(places)), name, "record")), {}

    def of(at: int) -> list[Record]:
        return [pool[i] for i in places[at : at + BLOCK].tolist()]

    def advance(records: int) -> None:
        deque(itertools.islice(bar, records), maxlen=0)

    starts = range(0, len(places), BLOCK)
    if kept:
        blocks = {at: rows for at in starts if (rows := kept.block(of(at))) is not None}
        advance(sum(map(len, blocks.values())))
    lacking = [at for at in starts if at not in blocks]
    for number, rows in rater.blocks(map(of, lacking), start, advance):
        at = lacking[number]
        if kept:
            kept.keep_block(of(at), rows)
        blocks[at] = rows
    deque(bar, maxlen=0)  # ends its line
    return pd.concat([blocks[at] for at in starts], ignore_index=True).assign(place=places)
