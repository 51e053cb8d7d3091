"""About how long the stages take that use the model.

In: what is to be done (`shed.settings.costs.outlook`), how fast the model is here (`shed.valuation.costs.speed`), and how many
runs the verdict makes. Out: seconds of each stage.

What a token pass takes is measured for reading and for tuning. Other kinds of work are a constant part of these, which was
found by comparing with one run of the packaged pipeline on two idle cores.
"""

from dataclasses import dataclass
from statistics import median

from shed.params import Params
from shed.settings.costs.outlook import Work
from shed.valuation.costs.speed import Speed

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # they are told, not written; see `shed.common.import_closure`
SECOND_DERIVATIVES = (
    1.45  # of a step's time, per pass: metagradients differentiate twice, for which there is no fused attention
)
WITH_TRAINER = 1.1  # transformers' trainer pads a batch, and its steps are the smaller ones
PACKED = 0.8  # of reading: an evaluation keeps no losses of single records, and packs questions without padding
START, LOAD = 7.0, 2.0  # seconds: to import and load all that a stage with the model needs; to load it once more
SMALL_START = 3.0  # the same, without the model
CONTROLS = 2  # of the verdict, besides all rows: as many rows, and as many tokens


@dataclass(frozen=True)
class RunsLeft:
    """Runs that tune and evaluate a model, and that are not in the ledger.

    Attributes:
        verdict: of the verdict, apart from those of the whole pool, and from the one that the stage `evaluate` makes.
        full: of the whole pool.
        final: whether the stage `evaluate` has something to evaluate.
    """

    verdict: int
    full: int = 0
    final: bool = True


def all_runs(params: Params) -> RunsLeft:
    """Where nothing is in the ledger yet."""
    seeds = 0 if params.sampler == "full" else params.verdict.seeds
    return RunsLeft(seeds * (1 + CONTROLS) - (1 <= params.finetune.seed <= seeds), seeds * params.verdict.full)


def seconds_of(work: Work, speed: Speed, runs: RunsLeft) -> dict[str, float]:
    """The time of each stage that uses the model."""
    params, passes = work.params, work.passes
    read, tuned, read_whole, whole = map(median, (speed.forward, speed.tuned, speed.forward_whole, speed.tuned_whole))
    score = passes["score"] * tuned * (SECOND_DERIVATIVES if params.score.method == "metagradient" else 1.0)
    if minutes := params.score.budget.minutes:
        score = min(score or 60 * minutes, 60 * minutes)
    evaluation, tuning = passes["evaluate"] / 2 * read_whole * PACKED, passes["finetune"] * whole * WITH_TRAINER
    of_pool = work.passes_of_whole_pool * whole * WITH_TRAINER if runs.full else 0.0
    loads = 2 * LOAD  # to tune, and to evaluate
    rate = SMALL_START
    if "rate" in passes:
        once = work.passes_that_read / 2 * read_whole if params.regime.depth is not None else 0.0  # through the layers below
        rate = START + once + work.passes_that_read * read + (passes["rate"] - work.passes_that_read) * tuned
    return {
        "rate": rate,
        "score": START + score,
        "fidelity": START + params.fidelity.target_draws * LOAD + passes["fidelity"] * whole,
        "finetune": START + tuning,
        "evaluate_base": START + evaluation,
        "evaluate": START + evaluation * runs.final,
        "verdict": START + runs.verdict * (tuning + evaluation + loads) + runs.full * (of_pool + evaluation + loads),
    }
