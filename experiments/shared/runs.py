"""Runs: a model is tuned on some rows and evaluated, once for all studies that ask for the same.

In: params, a model, rows, a seed and the records to evaluate on. Out: a row for each evaluated item. Runs are kept in
.shed/runs by a digest of all that they depend on, code included, so that a study that was stopped goes on; delete the
folder to measure again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from shed.common.atomic_io import read_json, write_table
from shed.common.import_closure import ROOT, code_digest
from shed.data.records import Record, read_records
from shed.evaluation.lm_evaluation import evaluate
from shed.models.specs import ModelSpec
from shed.params import Params
from shed.tuning.finetuning import finetune
from stages import FINAL_TUNING, naming_keys
from stages.finetune import tuning_settings

KEPT = Path(".shed/runs")
CODE = ("shed.tuning.finetuning", "shed.evaluation.lm_evaluation")
TASK_FILES = ROOT / "shed/evaluation/tasks"


def tuned_items(
    params: Params,
    spec: ModelSpec,
    ids: Sequence[str] | None,
    seed: int,
    splits: Mapping[str, Sequence[Record]],
    named: Sequence[str] = (),
) -> pd.DataFrame:
    """The items of a model that was tuned on the pool records `ids` as the final model is, under another seed.

    Args:
        ids: None: the untuned model is evaluated.
        splits, named: the records and the lm-eval tasks to evaluate on; see `shed.evaluation.lm_evaluation.evaluate`.
    """
    settings, limit, batch_size = tuning_settings(params, seed), params.evaluate.limit, params.evaluate.batch_size
    asked = {
        "code": code_digest(*CODE),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "lm_eval")},
        "tasks": [path.read_text(encoding="utf-8") for path in sorted(TASK_FILES.iterdir())],
        "model": [asdict(replace(spec, folder=None)), read_json("data/model.json")],
        "rows": ids and list(ids),
        "tuning": asdict(settings),
        "splits": {split: [[one.id, one.source, one.choices, one.answer] for one in own] for split, own in splits.items()},
        "evaluation": [limit, batch_size, [_task(name) for name in named]],
    }
    path = KEPT / f"{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]}.parquet"
    if path.exists():
        return pd.read_parquet(path)
    with TemporaryDirectory() as folder:
        adapter = None
        if ids is not None:
            pool = {record.id: record for record in read_records("data/prepared/pool.jsonl")}
            adapter = Path(folder) / "adapter"
            with naming_keys(FINAL_TUNING):
                finetune([pool[id] for id in ids], spec, settings, adapter, "one run of a study")
        items = evaluate(spec, adapter, splits, limit, batch_size, named)
    KEPT.mkdir(parents=True, exist_ok=True)
    write_table(path, items)
    return items


def _task(name: str) -> str:
    """A named task, or the text of its file."""
    return Path(name).read_text(encoding="utf-8") if Path(name).is_file() else name
