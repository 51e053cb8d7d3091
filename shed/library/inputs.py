"""What all verbs of a `Selector` read: the model, and the records of pool, dev and test.

In: rows and settings. Out: an `Inputs`, of which everything is checked.
"""

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from shed.common.errors import ShedError
from shed.data.preparation import PreparedData, prepare
from shed.evaluation.named_tasks import task_questions
from shed.library.rows import Rows, place_of, read_rows
from shed.library.settings import model_spec, reader_settings
from shed.models.checks import check_cut, check_model
from shed.models.costs import record_lengths
from shed.models.encoding import token_lengths
from shed.models.loading import manifest
from shed.models.specs import LoraSettings, ModelSpec
from shed.params import Params

SPLITS = ("pool", "dev", "test")


class Inputs:
    """Rows, read and checked.

    Args:
        rows: of each split as they were given; None where they are split off the pool.
        settings: how they are read and prepared, and for which model.
        folder: where evaluations and runs are kept; None: in one that goes with this object.

    Raises:
        ShedError: the model cannot be used as asked, or the rows cannot.

    Attributes:
        model, manifest: the base model, and what identifies its weights.
        prepared: the records, and what was set aside.
        lengths: of each pool record, as `shed.models.costs.record_lengths` has them.
        notes: a line for each split of which much is cut.
    """

    def __init__(self, rows: Mapping[str, Rows | None], settings: Params, folder: Path | None) -> None:
        self.settings, self.folder = settings, folder or self._scratch()
        name = settings.model.name
        self.manifest = manifest(name, "language model") | {"name": name}
        self.model: ModelSpec = model_spec(settings, self.manifest.get("revision"))
        regime, final = settings.regime, settings.finetune
        loras = [LoraSettings(1, 1, regime.modules, regime.depth), LoraSettings(1, 1, final.modules)]  # of whatever rank
        encoder = check_model(self.model, loras)
        data, reading = settings.data, reader_settings(settings)
        pool, dev, test = (None if rows[one] is None else read_rows(rows[one], one, reading) for one in SPLITS)
        self.prepared: PreparedData = prepare(
            pool or (),
            dev,
            test,
            pool_rows=data.pool_rows,
            dev_rows=data.dev_rows,
            test_rows=data.test_rows,
            near=data.near_duplicates,
            seed=data.seed,
            tasks=task_questions(settings.evaluate.tasks),
            unfit=encoder.unfit,
        )
        try:
            self.prepared.check(data.max_rejects)
        except ShedError as error:
            raise ShedError(str(error).replace("; each is in rejects.jsonl", ""), error.setting) from error
        cut = {one: check_cut(one, token_lengths(encoder, getattr(self.prepared, one)), encoder.limit) for one in SPLITS}
        self.notes = [f"{split}: {warning}" for split, warning in cut.items() if warning]
        if len(self.prepared.pool) < settings.C:
            raise ShedError(
                f"the pool has {len(self.prepared.pool)} records, and C is {settings.C}; lower C, or give more rows",
                "records of pool",
            )
        self.lengths = record_lengths(encoder, self.prepared.pool)

    @cached_property
    def records(self) -> pd.DataFrame:
        """`row` (its place among the given rows), `id` and `source` of each pool record."""
        rows = [(place_of(record), record.id, record.source) for record in self.prepared.pool]
        return pd.DataFrame(rows, columns=["row", "id", "source"])

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The `row` of each pool record, by its id."""
        return dict(zip(self.records["id"], self.records["row"], strict=True))

    def _scratch(self) -> Path:
        folder = tempfile.mkdtemp(prefix="shed-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)


def rejects(prepared: PreparedData) -> pd.DataFrame:
    """The rows that were set aside: `split`, `row` (its place among the given rows) and `reason`."""
    rows: list[tuple[Any, ...]] = [(one.split, place_of(one.record), one.reason) for one in prepared.rejects]
    return pd.DataFrame(rows, columns=["split", "row", "reason"])
