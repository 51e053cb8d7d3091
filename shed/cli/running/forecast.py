"""About what each stage of a run costs: time, FTE, memory and disk.

In: params, the records, how fast the model is here (`shed.valuation.costs.speed`), and which runs are there. Out: a `Cost` for
each stage.

The stages that use the model take their token passes (`shed.settings.costs.outlook`) times what a pass takes in their kind of
work (`shed.settings.costs.times`), and some seconds to start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from shed.cli.running.known_runs import Runs
from shed.params import Params
from shed.settings.costs.outlook import Work, fine_tune_equivalents
from shed.settings.costs.times import RunsLeft, seconds_of
from shed.valuation.costs.speed import Speed

COSTLY = ("rate", "score", "fidelity", "finetune", "evaluate_base", "evaluate", "verdict")  # whose time follows the model's
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


EMBEDS = Small(8, 5.5e-3, 0.9e9, 5e3)
SMALL = {
    "fetch": Small(1, 0, 0.2e9),
    "prepare": Small(20, 2.5e-4, 0.9e9, 2e3),
    "embed": EMBEDS,
    "lengths": Small(4, 5e-4, 0.6e9, 2e3),
    "cluster": Small(2.5, 3e-4, 0.4e9, 5e3),
    "sample": Small(2, 5e-5, 0.3e9, 2e3),
    "export": Small(2, 5e-5, 0.3e9, 2e3),
    "judge": Small(4, 0, 0.6e9),
    "report": Small(5, 1e-3, 0.4e9, 5e3),
}
FITS = Small(2 * EMBEDS.seconds, 2 * EMBEDS.a_row, EMBEDS.memory, 2e4)  # prompts, then responses; all vectors at the end
STARTS = Small(1, 0, 0.2e9)  # and finds nothing to do


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


def forecast(work: Work, rows_read: int, speed: Speed | None, runs: Runs, wanted: Sequence[str]) -> dict[str, Cost]:
    """Of the wanted stages, as far as they are known.

    Args:
        rows_read: of the files, before any are set aside.
        speed: None if no stage that uses the model is wanted.
    """
    disk, found = _disk(work, speed), dict[str, Cost]()
    small = small_stages(work.params)
    for name in (name for name in wanted if name in small):
        rows = _rows(name, work, rows_read)
        seconds, memory = small[name].seconds + small[name].a_row * rows, small[name].memory + small[name].a_row_bytes * rows
        found[name] = Cost(seconds / (1 + OFF), seconds, seconds * (1 + OFF), None, memory, disk.get(name, 0.0))
    if speed is None:
        return found
    times, fte = seconds_of(work, speed, runs.to_make(evaluates="evaluate" in wanted)), work.fine_tune
    spent: dict[str, float] = {name: work.passes[name] / fte for name in ("rate", "fidelity") if name in work.passes}
    spent["score"] = fine_tune_equivalents(work.params)
    off = hypot(OFF, speed.spread)
    for name in (name for name in wanted if name in times):
        seconds, memory = times[name], _memory(work.params, name, speed)
        found[name] = Cost(
            seconds / (1 + off), seconds, seconds * (1 + off), spent.get(name) or None, memory, disk.get(name, 0.0)
        )
    return found


def seconds_of_all(work: Work, rows_read: int, speed: Speed, runs: RunsLeft) -> dict[str, float]:
    """The time of each stage, where none has run."""
    stages = small_stages(work.params)
    small = {name: own.seconds + own.a_row * _rows(name, work, rows_read) for name, own in stages.items()}
    return small | seconds_of(work, speed, runs)


def small_stages(params: Params) -> dict[str, Small]:
    """The stages whose time does not follow the model's."""
    return SMALL | {"quality": FITS if params.quality.prompt_fit else STARTS}


def _rows(stage: str, work: Work, rows_read: int) -> int:
    """By which a stage's time grows that does not follow the model's."""
    return rows_read if stage == "prepare" else len(work.splits["pool"])


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
