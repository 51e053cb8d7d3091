"""The ledger of runs: a model is tuned on some rows and evaluated, once for all who ask for the same.

In: what a run depends on, its rows and its seed. Out: a row for each evaluated item, as
`shed.evaluation.lm_evaluation.evaluate` makes them. A run is kept in a file that is named by a digest of all that it depends
on, code included, so that work that was stopped goes on, and controls are paid for once. A file that is not as it was kept is
moved aside, and its run is made again. Delete the folder to measure again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from shed.common.atomic_io import replacing
from shed.common.import_closure import ROOT, code_digest
from shed.common.progress import track
from shed.common.sealed import find, sealed_name, take
from shed.data.records import Record
from shed.evaluation.generation import Writing
from shed.evaluation.lm_evaluation import evaluate
from shed.models.loading import has_fast_bfloat16
from shed.models.parallel import threads_used
from shed.models.specs import ModelSpec
from shed.tuning.finetuning import TuningSettings, finetune
from shed.workers.contract import Engine
from shed.workers.sameness import ModelThere

CODE = ("shed.tuning.finetuning", "shed.evaluation.lm_evaluation")
TASK_FILES = ROOT / "shed/evaluation/tasks"


@dataclass(frozen=True)
class RunSettings:
    """What runs have in common.

    Attributes:
        model: the base model and the form in which it reads records.
        manifest: what identifies its weights.
        tuning: how it is tuned; a run has a seed of its own.
        splits: the records to evaluate on, by split.
        limit, batch_size, tasks, writing: as `evaluate` has them.
    """

    model: ModelSpec
    manifest: Mapping[str, Any]
    tuning: TuningSettings
    splits: Mapping[str, Sequence[Record]]
    limit: int | None
    batch_size: int
    tasks: Sequence[str]
    writing: Writing | None = None


class RunLedger:
    """Runs of the same settings, kept in a folder.

    Args:
        engine: where several runs are made side by side; None: in this process, one after the other. Items are the same.
    """

    def __init__(self, folder: Path, settings: RunSettings, engine: Engine | None = None) -> None:
        self._folder, self._settings, self._engine = folder, settings, engine

    def has(self, rows: Sequence[Record], seed: int) -> bool:
        """True if the run was made before, and its items are as they were kept."""
        return find(self._path(rows, seed)) is not None

    def items(self, rows: Sequence[Record], seed: int, tuned: Path | None = None) -> pd.DataFrame:
        """The items of a model that was tuned on these rows under this seed; without rows, of the untuned model.

        Args:
            tuned: the adapter of this very tuning, where it was made elsewhere.

        Raises:
            ShedError: as `finetune` and `evaluate` do.
        """
        path, own = self._path(rows, seed), self._settings
        kept = take(path)
        if kept is not None:
            return pd.read_parquet(kept)
        with TemporaryDirectory() as folder:
            adapter = tuned or (Path(folder) / "adapter" if rows else None)
            if adapter is not None and tuned is None:
                finetune(rows, own.model, replace(own.tuning, seed=seed), adapter, "one of several runs")
            items = evaluate(own.model, adapter, own.splits, own.limit, own.batch_size, own.tasks, own.writing)
        _keep(path, items)
        return items

    def items_of(self, rows: Sequence[Sequence[Record]], seeds: Sequence[int], name: str) -> pd.DataFrame:
        """The items of a run for each seed, on its own rows, with `seed`; the bar of progress has this name."""
        pairs = list(zip(rows, seeds, strict=True))
        if self._engine is not None:
            self._give_out(self._engine, pairs, name)
        made = track(pairs, name, "run") if self._engine is None else pairs
        return pd.concat([self.items(own, seed).assign(seed=seed) for own, seed in made], ignore_index=True)

    def _give_out(self, engine: Engine, pairs: Sequence[tuple[Sequence[Record], int]], name: str) -> None:
        """Have the runs that are missing made by workers, and keep each as soon as it is done."""
        lacking = list({self._path(*pair): pair for pair in pairs if not self.has(*pair)}.values())
        if not lacking:
            return
        with engine.holding(LoadRuns(ModelThere.of(self._settings.model), self._settings)) as workers:
            for at, items in track(workers.each("items", lacking), name, "run", len(lacking)):
                _keep(self._path(*lacking[at]), items)

    def _path(self, rows: Sequence[Record], seed: int) -> Path:
        own = self._settings
        asked = {
            "code": code_digest(*CODE),
            "threads": threads_used(),
            "versions": {name: version(name) for name in ("torch", "transformers", "peft", "lm_eval", "rouge_score")},
            "tasks": [path.read_text(encoding="utf-8") for path in sorted(TASK_FILES.glob("*.yaml"))],
            "model": [asdict(replace(own.model, folder=None)), own.manifest],
            "rows": [record.id for record in rows],
            "tuning": asdict(replace(own.tuning, seed=seed)) if rows else None,
            "splits": {
                split: [[one.id, one.source, one.choices, one.answer] for one in records]
                for split, records in own.splits.items()
            },
            "evaluation": [own.limit, own.batch_size, [_task(name) for name in own.tasks]],
            "writing": asdict(own.writing) if own.writing and any(map(own.writing.places, own.splits.values())) else None,
        }
        return self._folder / f"{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]}.parquet"


@dataclass(frozen=True)
class LoadRuns:
    """How a worker comes to make runs of these settings; the model is loaded anew for each, since a tuning changes it."""

    model: ModelThere
    settings: RunSettings
    code: Sequence[str] = CODE

    def load(self) -> "HeldRuns":
        """Nothing yet but a check.

        Raises:
            ShedError: the model is another one than where work is given out.
        """
        self.model.check()
        return HeldRuns(self.settings)


class HeldRuns:
    """What a worker makes runs by."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings

    def facts(self) -> dict[str, bool]:
        """What must be the same in all workers: the kind of device, and the dtype that a model gets."""
        import torch

        return {"GPU": torch.cuda.is_available(), "bfloat16": has_fast_bfloat16()}

    def items(self, rows: Sequence[Record], seed: int) -> pd.DataFrame:
        """As `RunLedger.items`, kept nowhere."""
        with TemporaryDirectory() as folder:
            return RunLedger(Path(folder), self._settings).items(rows, seed)


def _keep(path: Path, items: pd.DataFrame) -> None:
    with replacing(path, sealed_name) as temporary:
        items.to_parquet(temporary, index=False)


def _task(name: str) -> str:
    """A named task, or the text of its file."""
    return Path(name).read_text(encoding="utf-8") if Path(name).is_file() else name
