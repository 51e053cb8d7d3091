"""The run of the final tuning in the trackers that params name, and what they are told at the end."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from shed.common.atomic_io import read_json
from shed.params import Finetune, Model, Params, describe
from shed.params import Tracking as Settings
from shed.tuning.tracking import Tracking, log_results

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`


def tracking(own: Settings, model: Model, final: Finetune, selection: str) -> Tracking:
    """The run is named by what is tuned, so that the stage that ends the pipeline finds that of the stage that tuned."""
    if not own.report_to:
        return Tracking()
    tuned = f"{model.model_dump_json()}{final.model_dump_json()}".encode() + Path(selection).read_bytes()
    return Tracking(list(dict.fromkeys(own.report_to)), own.project, f"shed-{hashlib.sha256(tuned).hexdigest()[:8]}")


def report_results(params: Params, data: Iterable[str], selection: str, verdict: str) -> None:
    """Params, the digests of the data as `dvc.lock` has them, and the verdict."""
    if params.tracking.report_to:
        log_results(
            tracking(params.tracking, params.model, params.finetune, selection),
            {line.name: line.value for line in describe(params)},
            {path: _md5(path) for path in (*data, selection)},
            {"verdict": read_json(verdict)},
        )


def _md5(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
