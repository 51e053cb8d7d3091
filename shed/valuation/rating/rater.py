"""Who rates: a model that was tuned on random rows, and the losses of records at both ends of the ways from there.

In: the rows of the warm start, dev, a model and a regime. Out: the warm start, and the rows of a block of records, made in this
process or by workers, with the same numbers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from shed.data.records import Record
from shed.data.tasks.combining import Combine, tasks_that_count
from shed.engine.batches import halves
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.regime import Regime
from shed.engine.utility import UtilityKind, dev_set
from shed.models.encoding import Encoded
from shed.models.loading import load_language_model
from shed.valuation.rating.ways import RatingMethod, WarmStart, token_passes, warm_start
from shed.workers.contract import Engine, Workers
from shed.workers.sameness import ModelThere

COUNTS: dict[str, Callable[[Encoded], int]] = {
    "tokens": lambda one: len(one.tokens),
    "cut": lambda one: one.cut,
    "turns_cut": lambda one: one.turns_cut,
    "response_cut": lambda one: one.response_cut,
    "response_tokens": lambda one: one.response_length,
}  # what is counted of each record


def columns_of(tasks: Mapping[str, float], combine: Combine) -> list[str]:
    """The columns of a block's ratings: one, or one for each task that counts."""
    return [f"by_{name}" for name in tasks_that_count(tasks)] if combine == "worst" else ["rating"]


@dataclass(frozen=True)
class LoadRater:
    """How a rater is made, here or in a worker; for its attributes see `shed.valuation.ratings.rate`.

    Attributes:
        warm: the records of the warm start.
    """

    model: ModelThere
    warm: Sequence[Record]
    dev: Sequence[Record]
    utility: UtilityKind
    regime: Regime
    tasks: Mapping[str, float]
    combine: Combine
    method: RatingMethod = "warm"
    code: Sequence[str] = ("shed.valuation.rating.rater",)

    def load(self) -> "Rater":
        """The rater, with its model loaded.

        Raises:
            ShedError: a record cannot be tuned on or measured, the model is of another shape, or is another one than where work
                is given out.
        """
        return Rater(self)


class Rater:
    """A loaded model that rates."""

    def __init__(self, own: LoadRater) -> None:
        loaded = load_language_model(own.model.check())
        self._encoder, self._columns, self._method = loaded.encoder, columns_of(own.tasks, own.combine), own.method
        measured = dev_set(own.utility, own.dev, loaded.encoder, own.tasks, own.combine)
        members = loaded.encoder.encode_all(own.warm, end=True)
        self._trainer = CoalitionTrainer(loaded.model, members, measured, replace(own.regime, optimizer="adamw"))

    def facts(self) -> dict[str, str]:
        """What must be the same in all workers."""
        return {"device": self._trainer.initial.device.type, "dtype": self._trainer.dtype}

    def warm_start(self) -> WarmStart:
        """The warm start, made now; its ends are on the processor."""
        return warm_start(self._trainer, self._method)

    def token_passes(self, rated: int) -> int:
        """What rating so many tokens costs; see `token_passes`."""
        return token_passes(self._trainer, self._method, rated)

    def block(
        self, records: Sequence[Record], start: WarmStart, advance: Callable[[int], object] | None = None
    ) -> pd.DataFrame:
        """A row for each record: its id, its rating by each task, and what `COUNTS` counts. `advance` is told of each."""
        encoded = self._encoder.encode_all(records, end=True)
        nats = losses(self._trainer, start.ends.to(self._trainer.initial.device), encoded, advance)
        by_task = start.ratings(nats, len(self._columns))
        rows = pd.DataFrame({"id": [record.id for record in records], **dict(zip(self._columns, by_task, strict=True))})
        return rows.join(pd.DataFrame({name: [read(one) for one in encoded] for name, read in COUNTS.items()}))

    def blocks(
        self, records: Iterable[Sequence[Record]], start: WarmStart, advance: Callable[[int], object]
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """The places of blocks and their rows, as they are done."""
        return enumerate(self.block(own, start, advance) for own in records)


class RatersElsewhere:
    """Workers that each hold a rater."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def warm_start(self) -> WarmStart:
        """As a rater's: one worker makes it."""
        found: WarmStart = self._workers.ask("warm_start")
        return found

    def token_passes(self, rated: int) -> int:
        """As a rater's."""
        return int(self._workers.ask("token_passes", rated))

    def blocks(
        self, records: Iterable[Sequence[Record]], start: WarmStart, advance: Callable[[int], object]
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """As a rater's; workers do several at once."""
        shared = self._workers.shared(start)
        for at, rows in self._workers.each("block", ((own, shared) for own in records)):
            advance(len(rows))
            yield at, rows


@contextmanager
def raters(load: LoadRater, engine: Engine | None) -> Iterator[Rater | RatersElsewhere]:
    """A rater in this process, or workers with one each."""
    if engine is None:
        yield load.load()
        return
    with engine.holding(load) as workers:
        yield RatersElsewhere(workers)


def losses(
    trainer: CoalitionTrainer, points: Tensor, records: Sequence[Encoded], advance: Callable[[int], object] | None = None
) -> np.ndarray:
    """(E, B) nats of each record's response, at each of some LoRA weights (E, P); `advance` is told how many more are done."""
    cores, lengths = trainer.losses.cores, np.array([len(record.tokens) for record in records])
    nats = np.empty((len(points), len(records)))

    @torch.no_grad()
    def part(batch: list[int]) -> tuple[list[int], Tensor]:
        return batch, trainer.losses.losses_at(points, [records[i] for i in batch])

    parts = cores.share(np.argsort(-lengths, kind="stable").tolist(), lengths, cores.chunk_tokens)
    for batch, own in cores.each(part, parts, halves):
        nats[:, batch] = own.double().cpu().numpy()
        if advance is not None:
            advance(len(batch))
    return nats
