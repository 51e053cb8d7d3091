"""About what each stage of a run costs: time, FTE, memory and disk.

In: params, the records, how fast the model is here (`shed.cli.running.timing`), and which runs are there. Out: a `Cost` for
each stage.

The stages that use the model take their token passes (`stages.shared.outlook`) times what a pass takes in their kind of work,
and some seconds to start. What a pass takes is measured for reading and for tuning; other kinds are a constant part of these,
which was found by comparing with one run of the packaged pipeline on two idle cores. On it each stage came within a fifth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot
from statistics import median

from shed.cli.running.known_runs import Runs
from shed.cli.running.timing import Speed
from shed.data.records import Record
from shed.params import Params
from stages.shared.outlook import Lengths, fine_tune_equivalents, token_passes

COSTLY = ("rate", "score", "fidelity", "finetune", "evaluate_base", "evaluate", "verdict")  # whose time follows the model's
SECOND_DERIVATIVES = (
    1.45  # of a step's time, per pass: metagradients differentiate twice, for which there is no fused attention
)
WITH_TRAINER = 1.1  # transformers' trainer pads a batch, and its steps are the smaller ones
PACKED = 0.8  # of reading: an evaluation keeps no losses of single records, and packs questions without padding
START, LOAD = 7.0, 2.0  # seconds: to import and load all that a stage with the model needs; to load it once more
SMALL_START = 3.0  # the same, without the model
VECTOR = 384  # numbers of the packaged embedder's
OFF = 0.25  # by which part a stage's time may be off though its passes were timed well


@dataclass(frozen=True)
class Small:
    """A stage whose time does not follow the model's.

    Attributes:
        seconds: of which most are to start.
        a_row: seconds of each row.
        memory: bytes.
        a_row_bytes: more for each row.
    """

    seconds: float
    a_row: float
    memory: float
    a_row_bytes: float = 0.0


SMALL = {
    "fetch": Small(1, 0, 0.2e9),
    "prepare": Small(20, 2.5e-4, 0.9e9, 2e3),
    "embed": Small(8, 5.5e-3, 0.9e9, 5e3),
    "lengths": Small(4, 5e-4, 0.6e9, 2e3),
    "cluster": Small(2.5, 3e-4, 0.4e9, 5e3),
    "sample": Small(2, 5e-5, 0.3e9, 2e3),
    "export": Small(2, 5e-5, 0.3e9, 2e3),
    "judge": Small(4, 0, 0.6e9),
    "report": Small(5, 1e-3, 0.4e9, 5e3),
}


@dataclass(frozen=True)
class Cost:
    """What a stage costs.

    Attributes:
        low, seconds, high: about, and the ends of its interval.
        fte: fine-tune equivalents; None where the stage has none.
        memory: bytes at the most.
        disk: bytes that it writes, DVC's copy of them included.
    """

    low: float
    seconds: float
    high: float
    fte: float | None
    memory: float
    disk: float


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        params, splits, lengths: as `stages.shared.outlook.token_passes` takes them.
        rows_read: of the files, before any are set aside.
    """

    params: Params
    splits: Mapping[str, Sequence[Record]]
    lengths: Mapping[str, Lengths]
    rows_read: int

    @cached_property
    def passes(self) -> dict[str, float]:
        """Token passes of each stage that uses the model."""
        return token_passes(self.params, self.splits, self.lengths)

    @property
    def passes_that_read(self) -> float:
        """Those of rating that have no backward pass."""
        return 2 * len(self.splits["pool"]) * self.lengths["pool"].tuned

    @property
    def passes_of_whole_pool(self) -> float:
        """Of a final tuning on all rows."""
        everything = self.params.model_copy(update={"sampler": "full"})
        return token_passes(everything, self.splits, self.lengths)["finetune"]

    @property
    def fine_tune(self) -> float:
        """Token passes of one fine-tune equivalent."""
        budget = self.params.score.budget.model_copy(update={"fte": 1.0, "evaluations": None})
        one = self.params.score.model_copy(update={"budget": budget, "method": "metagradient"})
        return token_passes(self.params.model_copy(update={"score": one}), self.splits, self.lengths)["score"]


def forecast(work: Work, speed: Speed | None, runs: Runs, wanted: Sequence[str]) -> dict[str, Cost]:
    """Of the wanted stages, as far as they are known.

    Args:
        speed: None if no stage that uses the model is wanted.
    """
    disk, found = _disk(work, speed), dict[str, Cost]()
    for name in (name for name in wanted if name in SMALL):
        small, rows = SMALL[name], work.rows_read if name == "prepare" else len(work.splits["pool"])
        seconds, memory = small.seconds + small.a_row * rows, small.memory + small.a_row_bytes * rows
        found[name] = Cost(seconds / (1 + OFF), seconds, seconds * (1 + OFF), None, memory, disk.get(name, 0.0))
    if speed is None:
        return found
    times, fte = seconds_of(work, speed, runs, evaluates="evaluate" in wanted), work.fine_tune
    spent: dict[str, float] = {name: work.passes[name] / fte for name in ("rate", "fidelity") if name in work.passes}
    spent["score"] = fine_tune_equivalents(work.params)
    off = hypot(OFF, speed.spread)
    for name in (name for name in wanted if name in times):
        seconds, memory = times[name], _memory(work.params, name, speed)
        found[name] = Cost(
            seconds / (1 + off), seconds, seconds * (1 + off), spent.get(name) or None, memory, disk.get(name, 0.0)
        )
    return found


def seconds_of(work: Work, speed: Speed, runs: Runs, *, evaluates: bool) -> dict[str, float]:
    """The time of each stage that uses the model.

    Args:
        evaluates: whether the stage `evaluate` runs, too, whose run may be one of the verdict's.
    """
    params, passes = work.params, work.passes
    read, tuned, read_whole, whole = map(median, (speed.forward, speed.tuned, speed.forward_whole, speed.tuned_whole))
    score = passes["score"] * tuned * (SECOND_DERIVATIVES if params.score.method == "metagradient" else 1.0)
    if minutes := params.score.budget.minutes:
        score = min(score or 60 * minutes, 60 * minutes)
    evaluation, tuning = passes["evaluate"] / 2 * read_whole * PACKED, passes["finetune"] * whole * WITH_TRAINER
    left = runs.left - (runs.shared and evaluates)
    of_pool = work.passes_of_whole_pool * whole * WITH_TRAINER if runs.full else 0.0
    loads = 2 * LOAD  # to tune, and to evaluate
    times = {
        "score": START + score,
        "fidelity": START + params.fidelity.target_draws * LOAD + passes["fidelity"] * whole,
        "finetune": START + tuning,
        "evaluate_base": START + evaluation,
        "evaluate": START + (0.0 if runs.final else evaluation),
        "verdict": START + left * (tuning + evaluation + loads) + runs.full * (of_pool + evaluation + loads),
        "rate": SMALL_START,
    }
    if "rate" in passes:
        once = work.passes_that_read / 2 * read_whole if params.regime.depth is not None else 0.0  # through the layers below
        times["rate"] = START + once + work.passes_that_read * read + (passes["rate"] - work.passes_that_read) * tuned
    return times


def _memory(params: Params, stage: str, speed: Speed) -> float:
    """Of a process with the model at work; metagradients keep the states of two tunings, up to a gibibyte."""
    if stage != "score" or params.score.method != "metagradient":
        return speed.memory
    steps = params.regime.epochs * -(-params.C * params.cluster.proxies_per_cluster // params.regime.batch_size)
    return speed.memory + min(2**30, 4 * 2 * 4 * speed.lora * steps)


def _disk(work: Work, speed: Speed | None) -> dict[str, float]:
    """What the larger outputs take, twice: in the project, and in DVC's cache."""
    text = sum(len(turn.text) for records in work.splits.values() for record in records for turn in record.messages)
    model, adapter = (speed.model_bytes, 4 * speed.lora_whole) if speed else (0, 0)
    return {
        "prepare": 2 * 2.0 * text,
        "embed": 2 * 4.0 * VECTOR * len(work.splits["pool"]),
        "finetune": 2.0 * adapter,
        "export": 2.0 * model if work.params.export.merged else 0.0,
    }
