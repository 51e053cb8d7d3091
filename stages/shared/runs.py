"""The ledger of the runs that tune and evaluate a model as params describe it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from shed.common.atomic_io import read_json
from shed.data.records import Record
from shed.evaluation.run_ledger import RunLedger, RunSettings
from shed.models.specs import ModelSpec
from shed.params import Params
from stages.shared.tuning import tuning_settings

RUNS = Path(os.environ.get("DVC_ROOT", ".")) / ".shed" / "runs"  # DVC_ROOT: shared by experiments in copies


def run_ledger(params: Params, model: ModelSpec, splits: Mapping[str, Sequence[Record]], tasks: Sequence[str]) -> RunLedger:
    """Runs that are evaluated on these splits and lm-eval tasks."""
    tuning, limit, batch_size = tuning_settings(params, params.finetune.seed), params.evaluate.limit, params.evaluate.batch_size
    return RunLedger(RUNS, RunSettings(model, read_json("data/model.json"), tuning, splits, limit, batch_size, tasks))
