"""The ledger of the runs that tune and evaluate a model as params describe it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from shed.common.atomic_io import read_json
from shed.data.records import Record
from shed.evaluation.generation import Writing
from shed.evaluation.run_ledger import RunLedger, RunSettings
from shed.models.specs import ModelSpec
from shed.params import Params
from stages import FINAL_TUNING, naming_keys
from stages.shared.settings.engine import engine_of
from stages.shared.settings.tuning import tuning_settings

RUNS = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "runs"  # DVC_ROOT: shared by experiments in copies


def run_ledger(params: Params, model: ModelSpec, splits: Mapping[str, Sequence[Record]], tasks: Sequence[str]) -> RunLedger:
    """Runs that are evaluated on these splits and lm-eval tasks."""
    own, manifest = params.evaluate, read_json("data/model.json")
    tuning, writing = tuning_settings(params, params.finetune.seed), Writing(**own.written.model_dump())
    settings = RunSettings(model, manifest, tuning, splits, own.limit, own.batch_size, tasks, writing)
    return RunLedger(RUNS, settings, engine_of(params))


def items_of(ledger: RunLedger, rows: Sequence[Sequence[Record]], seeds: Sequence[int], name: str) -> pd.DataFrame:
    """The items of a run for each seed, with `seed`; the bar of progress has this name."""
    with naming_keys(FINAL_TUNING):
        return ledger.items_of(rows, seeds, name)
