"""The ledger of runs: a model is tuned on some rows and evaluated, once for all who ask for the same.

In: what a run depends on, its rows and its seed. Out: a row for each evaluated item, as
`shed.evaluation.lm_evaluation.evaluate` makes them. A run is kept in a file that is named by a digest of all that it depends
on, code included, so that work that was stopped goes on, and controls are paid for once. Delete the folder to measure again.
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

from shed.common.atomic_io import write_table
from shed.common.import_closure import ROOT, code_digest
from shed.common.progress import track
from shed.data.records import Record
from shed.evaluation.generation import Writing
from shed.evaluation.lm_evaluation import evaluate
from shed.models.specs import ModelSpec
from shed.tuning.finetuning import TuningSettings, finetune

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
    """Runs of the same settings, kept in a folder."""

    def __init__(self, folder: Path, settings: RunSettings) -> None:
        self._folder, self._settings = folder, settings

    def has(self, rows: Sequence[Record], seed: int) -> bool:
        """True if the run was made before."""
        return self._path(rows, seed).exists()

    def items(self, rows: Sequence[Record], seed: int, tuned: Path | None = None) -> pd.DataFrame:
        """The items of a model that was tuned on these rows under this seed; without rows, of the untuned model.

        Args:
            tuned: the adapter of this very tuning, where it was made elsewhere.

        Raises:
            ShedError: as `finetune` and `evaluate` do.
        """
        path, own = self._path(rows, seed), self._settings
        if path.exists():
            return pd.read_parquet(path)
        with TemporaryDirectory() as folder:
            adapter = tuned or (Path(folder) / "adapter" if rows else None)
            if adapter is not None and tuned is None:
                finetune(rows, own.model, replace(own.tuning, seed=seed), adapter, "one of several runs")
            items = evaluate(own.model, adapter, own.splits, own.limit, own.batch_size, own.tasks, own.writing)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_table(path, items)
        return items

    def items_of(self, rows: Sequence[Sequence[Record]], seeds: Sequence[int], name: str) -> pd.DataFrame:
        """The items of a run for each seed, on its own rows, with `seed`; the bar of progress has this name."""
        pairs = track(list(zip(rows, seeds, strict=True)), name, "run")
        return pd.concat([self.items(own, seed).assign(seed=seed) for own, seed in pairs], ignore_index=True)

    def _path(self, rows: Sequence[Record], seed: int) -> Path:
        own = self._settings
        asked = {
            "code": code_digest(*CODE),
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


def _task(name: str) -> str:
    """A named task, or the text of its file."""
    return Path(name).read_text(encoding="utf-8") if Path(name).is_file() else name
