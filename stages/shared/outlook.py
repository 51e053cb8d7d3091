"""What a run will cost, told before it is paid for, and whether its later stages can work at all.

In: params, how many records there are, how long they are, and how fast the model reads them here. Out: token passes of each
costly stage, and their time; or an error.

A token pass is what a forward pass does to one token; a backward pass is counted as another. Attention grows faster than the
length, so that a pass over long records is timed on such.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.models.attention import SHORT
from shed.models.encoding import Encoder
from shed.params import Params
from shed.selection.sampling import budget

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # it is told, not written; see `shed.common.import_closure`
RUNS_A_SEED = 3  # the selection and two controls
UNITS = ((24 * 60, "days"), (60, "hours"), (1, "minutes"))
MOST = 500  # records of a split whose lengths are looked at


@dataclass(frozen=True)
class Lengths:
    """Mean tokens of a split's records.

    Attributes:
        tuned: of a record as it is tuned on.
        measured: of all that a utility reads of it: the record, or it with each of its options.
        evaluated: of all that the evaluation reads: the record, or its prompt once and its options.
        longest: of the longest.
    """

    tuned: float
    measured: float
    evaluated: float
    longest: int


def check_sizes(params: Params, pool: int) -> None:
    """Refuse a pool of so many records if a later stage would, after others were paid for.

    Raises:
        ShedError: it has fewer records than clusters are asked for, or than rows are to be selected.
    """
    if pool < params.C:
        raise ShedError(f"the pool has {pool} records, and C is {params.C}; lower C, or give more records", "records of pool")
    budget(pool, params.sample.fraction, params.sample.rows)


def lengths_of(encoder: Encoder, records: Sequence[Record]) -> Lengths:
    """From the first 500 records."""
    some = records[:MOST]
    tuned = [len(one.tokens) for one in encoder.encode_all(some, end=True)]
    measured, evaluated = [], []
    for record, length in zip(some, tuned, strict=True):
        own = encoder.encode_options(record)
        every = sum(len(one.tokens) for one in own)
        measured.append(every or length)
        evaluated.append(every - sum(one.prompt_length for one in own[1:]) if own else length)
    return Lengths(float(np.mean(tuned)), float(np.mean(measured)), float(np.mean(evaluated)), max(tuned))


def token_passes(params: Params, splits: Mapping[str, Sequence[Record]], lengths: Mapping[str, Lengths]) -> dict[str, float]:
    """Token passes of each costly stage; what ends scoring by minutes is not among them."""
    pool, dev = lengths["pool"], lengths["dev"]
    pass_and_back = 3 if pool.longest > SHORT else 2  # of long records, layers are run again for the backward pass
    regime, final, fidelity = params.regime, params.finetune, params.fidelity
    rows = params.sample.rows or round((params.sample.fraction or 1) * len(splits["pool"]))
    rows = len(splits["pool"]) if params.sampler == "full" else rows

    def tuning(records: float, epochs: int) -> float:
        return records * pool.tuned * epochs * pass_and_back

    def on_dev(most: int | None, choices: bool) -> float:
        return min(most or len(splits["dev"]), len(splits["dev"])) * (dev.measured if choices else dev.tuned)

    by_choice = {
        "choice_loss": True,
        "accuracy": True,
        None: all(record.choices for record in splits["dev"]),
        "dev_loss": False,
    }
    proxies = params.C * params.cluster.proxies_per_cluster
    scored_on = on_dev(params.score.dev_rows, by_choice[params.score.utility])
    audited_on = on_dev(params.score.dev_rows, by_choice[fidelity.target_utility])
    evaluation = sum(
        min(params.evaluate.limit or count, count) * lengths[split].evaluated
        for split in ("dev", "test")
        for count in _by_source(splits[split])
    )
    passes = {
        "score": fine_tune_equivalents(params) * (tuning(proxies, regime.epochs) + scored_on),
        "fidelity": fidelity.coalitions * (tuning(proxies / 2, regime.epochs) + scored_on)
        + (fidelity.target_coalitions or 0) * fidelity.target_draws * (tuning(proxies / 2, final.epochs) + audited_on),
        "finetune": tuning(rows, final.epochs),
        "evaluate": 2 * evaluation,  # the base model, and the tuned one
        "verdict": params.verdict.seeds * RUNS_A_SEED * (tuning(rows, final.epochs) + evaluation),
    }
    if params.verdict.full:
        passes["verdict"] += params.verdict.seeds * (tuning(len(splits["pool"]), final.epochs) + evaluation)
    if not params.rate.warm_rows:
        return passes
    warm = tuning(min(params.rate.warm_rows, len(splits["pool"])), regime.epochs)
    on = on_dev(params.rate.dev_rows, by_choice[params.rate.utility])
    return {"rate": warm + 3 * on + 2 * len(splits["pool"]) * pool.tuned} | passes


def fine_tune_equivalents(params: Params) -> float:
    """What scoring may spend at most, in FTE; 0 where minutes alone end it."""
    score = params.score
    if score.method == "exact":
        return 2.0**params.C / 2
    own = score.removal.k * ceil(params.C / score.removal.n) / 2 if score.method == "removal" else float("inf")
    most = min(own, score.budget.fte or float("inf"), score.budget.evaluations or float("inf"))
    return most if np.isfinite(most) else 0.0


def told(params: Params, passes: Mapping[str, float], seconds: float) -> str:
    """The time that each stage takes, in one line.

    Args:
        seconds: of a token pass.
    """
    minutes = {stage: own * seconds / 60 for stage, own in passes.items()}
    if limit := params.score.budget.minutes:
        minutes["score"] = min(minutes["score"] or limit, limit)
    parts = ", ".join(f"{stage} {_rounded(own)}" for stage, own in minutes.items())
    every = _rounded(sum(minutes.values()))
    return f"on this machine ({1000 * seconds:.2g} ms a token) the stages take about: {parts}; {every} in all"


def _rounded(minutes: float) -> str:
    if minutes < 1.5:
        return "a minute"
    return next(f"{minutes / size:.0f} {unit}" for size, unit in UNITS if minutes >= 2 * size or size == 1)


def _by_source(records: Sequence[Record]) -> list[int]:
    return list(np.unique([record.source for record in records], return_counts=True)[1])
