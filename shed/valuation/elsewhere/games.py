"""The tuning game whose model is held by workers.

In: the records and settings of a game, and workers. Out: the same game, which gives its coalitions out. Those that would be
tuned together in one process are tuned together in a worker, so that numbers are the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shed.data.records import Record
from shed.data.tasks.combining import Combine
from shed.engine.coalition_trainer import CoalitionTrainer, load_trainer
from shed.engine.regime import Regime
from shed.engine.utility import UtilityKind
from shed.valuation.game import Evaluation, Run
from shed.valuation.tuning_game import TuningGame
from shed.workers.contract import Workers
from shed.workers.sameness import ModelThere


@dataclass(frozen=True)
class LoadGame:
    """How a worker comes to hold a game; for its attributes see `shed.valuation.proxy_game.open_game` and `TuningGame`."""

    model: ModelThere
    proxies: Sequence[Record]
    owner: Sequence[int]
    dev: Sequence[Record]
    utility: UtilityKind
    regime: Regime
    candidates: Sequence[Record]
    tasks: Mapping[str, float]
    combine: Combine
    code: Sequence[str] = ("shed.valuation.tuning_game",)

    def load(self) -> "HeldGame":
        """The game, loaded.

        Raises:
            ShedError: as `load_trainer` does, or the model is another one than where work is given out.
        """
        of = (self.proxies, self.dev, self.utility, self.regime, self.candidates, self.tasks, self.combine)
        trainer = load_trainer(self.model.check(), *of)
        return HeldGame(trainer, TuningGame(trainer, self.owner, [record.id for record in self.proxies]))


class HeldGame:
    """A game in a worker."""

    def __init__(self, trainer: CoalitionTrainer, game: TuningGame) -> None:
        self._trainer, self._game = trainer, game

    def facts(self) -> dict[str, Any]:
        """What must be the same in all workers."""
        own = self._trainer
        return {
            "device": own.initial.device.type,
            "dtype": own.dtype,
            "tokens": int(own.lengths.sum()),
            "tokens of dev": own.dev_length,
        }

    def outline(self) -> "TrainerElsewhere":
        """The trainer without its model."""
        return TrainerElsewhere(self._trainer)

    def evaluate(self, weights: np.ndarray, run: Run | None) -> list[Evaluation]:
        """As `TuningGame.evaluate`."""
        return self._game.evaluate(weights, run)


class TrainerElsewhere(CoalitionTrainer):
    """All that a trainer knows but its model and losses: what is tuned, in which order, and at what price."""

    def __init__(self, own: CoalitionTrainer) -> None:
        self.regime, self.dtype, self.batches = own.regime, own.dtype, own.batches
        self.members, self.candidates, self.dev_length = own.members, own.candidates, own.dev_length
        self.lengths, self.candidate_lengths = own.lengths, own.candidate_lengths
        self.initial = torch.empty_like(own.initial, device="meta")  # its size, which prices depend on
        self._setup_fte = own.setup_fte
        self.at_once = own.at_once

    @property
    def setup_fte(self) -> float:
        """As the trainer's."""
        return self._setup_fte


class GameElsewhere(TuningGame):
    """A game whose coalitions are tuned by workers that hold it."""

    def __init__(self, workers: Workers, outline: TrainerElsewhere, owner: Sequence[int], ids: Sequence[str]) -> None:
        super().__init__(outline, owner, ids)
        self._workers = workers

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        """As `TuningGame.evaluate`, in one worker."""
        found: list[Evaluation] = self._workers.ask("evaluate", weights, run)
        return found

    def evaluate_each(self, groups: Sequence[np.ndarray], run: Run | None = None) -> Iterator[tuple[int, list[Evaluation]]]:
        """Of groups of coalitions (m, players), each tuned together in one worker: places and evaluations as they are done."""
        return self._workers.each("evaluate", [(weights, run) for weights in groups])
