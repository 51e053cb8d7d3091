"""How fast the model is here: a short measurement with the code that rates and tunes.

In: a model, and some records of the pool. Out: seconds of a token pass, each measured a few times, and memory.
"""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from shed.data.records import Record
from shed.engine.regime import Regime
from shed.models.specs import ModelSpec

if TYPE_CHECKING:
    from shed.engine.coalition_trainer import CoalitionTrainer

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # times are told, not written; see `shed.common.import_closure`
REPEATS = 3
FORWARD_TOKENS, TUNED_TOKENS = 1000, 500
DEV = 2  # records; a trainer needs some


Clock = Callable[[], float]


@dataclass(frozen=True)
class Speed:
    """Seconds of a token pass, each of them once a measurement.

    Attributes:
        forward: of reading records, many together, through the layers that the scoring regime tunes.
        tuned: of a step of tuning in the scoring regime: forward and backward.
        forward_whole, tuned_whole: the same with LoRA weights in all layers, as the final tuning has them.
        model_bytes: of the model's weights.
        lora, lora_whole: how many LoRA weights the scoring regime has, and one of all layers.
        memory: bytes of this process at its peak; it has tuned on the longest of the records.
        gpu_memory: at most used of a GPU; 0 without one.
    """

    forward: list[float]
    tuned: list[float]
    forward_whole: list[float]
    tuned_whole: list[float]
    model_bytes: int
    lora: int
    lora_whole: int
    memory: int
    gpu_memory: int

    @property
    def spread(self) -> float:
        """By which part of their median measurements are above or below it, at most."""
        every = [own for own in (self.forward, self.tuned, self.forward_whole, self.tuned_whole) if own]
        return max(abs(one / median(own) - 1) for own in every for one in own)


def measure(
    spec: ModelSpec, records: Sequence[Record], dev: Sequence[Record], regime: Regime, clock: Clock = time.perf_counter
) -> Speed:
    """Some seconds, of which reading the model is one or two.

    Args:
        clock: gives seconds; another than the wall's tells how fast the model would be on an idle machine.

    Raises:
        ShedError: the model cannot be loaded, or is of another shape than scoring takes.
    """
    import torch

    longest = max(records, key=_size)  # which decides the memory
    members, others = [longest, *records[: 2 * regime.batch_size - 1]], _some(records)
    trainer, weights = _trainer(spec, members, dev, regime, others)
    _tuned(trainer, 0, clock)  # the first pass of all is slower
    forward, tuned, lora = *_times(trainer, clock), trainer.initial.numel()
    trainer.gradient(trainer.initial[None], [int(np.argmax(trainer.lengths))], np.ones((1, len(members))))
    forward_whole, tuned_whole = forward, tuned
    if regime.lora.depth is not None:
        del trainer
        trainer, _ = _trainer(spec, members, dev, replace(regime, lora=replace(regime.lora, depth=None)), others)
        forward_whole, tuned_whole = _times(trainer, clock)
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return Speed(forward, tuned, forward_whole, tuned_whole, weights, lora, trainer.initial.numel(), _most_memory(), gpu)


def _most_memory() -> int:
    """Bytes of this process at its peak."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _size(record: Record) -> int:
    return sum(len(turn.text) for turn in record.messages)


def _times(trainer: "CoalitionTrainer", clock: Clock) -> tuple[list[float], list[float]]:
    """Of reading, and of tuning."""
    from shed.valuation.rating.rater import losses

    passes = trainer.candidate_lengths.sum()
    forward = [
        _timed(lambda: losses(trainer, trainer.initial[None], trainer.candidates), passes, clock) for _ in range(REPEATS)
    ]
    return forward, [_tuned(trainer, repeat, clock) for repeat in range(REPEATS)]


def _trainer(
    spec: ModelSpec, members: Sequence[Record], dev: Sequence[Record], regime: Regime, candidates: Sequence[Record]
) -> "tuple[CoalitionTrainer, int]":
    """What tunes, and the bytes of the model's weights."""
    from shed.engine.coalition_trainer import CoalitionTrainer
    from shed.engine.utility import dev_set
    from shed.models.loading import load_language_model

    loaded = load_language_model(spec)
    weights = sum(one.numel() * one.element_size() for one in loaded.model.parameters())
    own, others = (loaded.encoder.encode_all(some, end=True) for some in (members, candidates))
    return CoalitionTrainer(loaded.model, own, dev_set("dev_loss", dev[:DEV], loaded.encoder), regime, others), weights


def _tuned(trainer: "CoalitionTrainer", repeat: int, clock: Clock) -> float:
    """Of one step on a batch, or on as much of it as is long enough."""
    batch = trainer.batches[repeat % len(trainer.batches)]
    most = int(np.searchsorted(trainer.lengths[batch].cumsum(), TUNED_TOKENS)) + 1
    batch = batch[:most]
    everyone = np.ones((1, len(trainer.lengths)))
    return _timed(lambda: trainer.gradient(trainer.initial[None], batch, everyone), 2 * trainer.lengths[batch].sum(), clock)


def _timed(work: Callable[[], object], passes: float, clock: Clock) -> float:
    began = clock()
    work()
    return (clock() - began) / float(passes)


def _some(records: Sequence[Record]) -> list[Record]:
    """As many as have some tokens, by four characters a token."""
    sizes = np.cumsum([_size(record) / 4 for record in records])
    return list(records[: int(np.searchsorted(sizes, FORWARD_TOKENS)) + 1])
