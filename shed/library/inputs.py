"""What all verbs of a `Selector` read: the model, and the records of pool, dev and test.

In: rows or tasks, and settings. Out: an `Inputs`, of which everything is checked.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from shed.common.errors import ShedError
from shed.data.preparation import PreparedData, prepare
from shed.data.readers import BadRecord, Reading
from shed.data.records import Record
from shed.data.tasks.combining import check_worst
from shed.data.tasks.dev_tasks import DevTask, check_records, shares, spread
from shed.data.tasks.names import check_names
from shed.evaluation.named_tasks import task_questions
from shed.library.rows import place_of
from shed.library.sources import Source, Tasks, read
from shed.models.checks import check_cut, check_model
from shed.models.encoding import token_lengths
from shed.models.loading import manifest
from shed.models.record_lengths import record_lengths
from shed.models.specs import LoraSettings, ModelSpec
from shed.params import Params
from shed.settings.models import model_spec
from shed.settings.reading import reader_settings
from shed.settings.selecting import LONG_RESPONSE

SPLITS = ("pool", "dev", "test")
BY_TOKENS = (
    "ratings of whole records select the longest of such rows; for a selection by tokens set "
    'rate={"per": "token"} and sample={"budget": "tokens"}'
)


class Inputs:
    """Rows, read and checked.

    Args:
        given: of each split its rows or tasks; None where they are split off the pool.
        settings: how they are read and prepared, and for which model.
        folder: where evaluations, runs and results are kept; None: in one that goes with this object.

    Raises:
        ShedError: the model cannot be used as asked, or the rows cannot.

    Attributes:
        model, manifest: the base model, and what identifies its weights.
        encoder: what makes its tokens.
        prepared: the records, and what was set aside.
        tasks: the shares of dev's tasks by their names; empty where dev is one set.
        lengths: of each pool record, as `shed.models.record_lengths.record_lengths` has them.
        notes: what was read of tasks of lm-eval, of which splits much is cut, and whether responses are long, a line each.
    """

    def __init__(self, given: Mapping[str, Source | Tasks | None], settings: Params, folder: Path | None) -> None:
        self.settings, self.folder = settings, folder or self._scratch()
        name = settings.model.name
        self.manifest = manifest(name, "language model") | {"name": name}
        self.model: ModelSpec = model_spec(settings.model, self.manifest.get("revision"))
        regime, final = settings.regime, settings.finetune
        loras = [LoraSettings(1, 1, regime.modules, regime.depth), LoraSettings(1, 1, final.modules)]  # of whatever rank
        encoder = self.encoder = check_model(self.model, loras)
        data, questions, reading = settings.data, task_questions(settings.evaluate.tasks), Reading()
        pool, dev, test = (self._read(given[split], split, reading) for split in SPLITS)
        prepared = prepare(
            pool or (),
            dev,
            test,
            pool_rows=data.pool_rows,
            dev_rows=data.dev_rows,
            test_rows=data.test_rows,
            near=data.near_duplicates,
            seed=data.seed,
            tasks=questions,
            unfit=encoder.unfit,
        )
        try:
            prepared.check(data.max_rejects)
        except ShedError as error:
            raise ShedError(str(error).replace("; each is in rejects.jsonl", ""), error.setting) from error
        check_names(questions, prepared.test)
        self.prepared: PreparedData = prepared
        self.tasks = self._tasks(given["dev"])
        cut = {one: check_cut(one, token_lengths(encoder, getattr(self.prepared, one)), encoder.limit) for one in SPLITS}
        self.notes = [*reading.told(), *(f"{split}: {warning}" for split, warning in cut.items() if warning)]
        if len(self.prepared.pool) < settings.C:
            raise ShedError(
                f"the pool has {len(self.prepared.pool)} records, and C is {settings.C}; lower C, or give more rows",
                "records of pool",
            )
        self.lengths = record_lengths(encoder, self.prepared.pool)
        mean = self.lengths["response_tokens"].mean()
        if mean >= LONG_RESPONSE and settings.sampler == "top" and settings.rate.per == "record":
            self.notes.append(f"pool: {mean:.0f} response tokens a record; {BY_TOKENS}")

    @cached_property
    def records(self) -> pd.DataFrame:
        """`row` (its place among the given rows), `id` and `source` of each pool record."""
        rows = [(place_of(record), record.id, record.source) for record in self.prepared.pool]
        return pd.DataFrame(rows, columns=["row", "id", "source"])

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The `row` of each pool record, by its id."""
        return dict(zip(self.records["id"], self.records["row"], strict=True))

    def _read(self, given: Source | Tasks | None, split: str, reading: Reading) -> Iterator[Record | BadRecord] | None:
        if given is None:
            return None
        return read(given, split, reader_settings(self.settings.data.reading), self.model.form, reading)

    def _tasks(self, dev: Source | Tasks | None) -> dict[str, float]:
        """The shares of dev's tasks, whose records are put in an order in which every beginning has all tasks."""
        tasks: dict[str, DevTask] = {}
        if isinstance(dev, Mapping) and isinstance(self.settings.data.dev, dict):
            tasks = self.settings.data.dev
            try:
                check_records(tasks, self.prepared.dev)
            except ShedError as error:
                raise ShedError(str(error).replace(", as data/prepared/rejects.jsonl explains", "")) from error
            self.prepared = replace(self.prepared, dev=spread(self.prepared.dev))
        if self.settings.data.dev_combine == "worst":
            check_worst(shares(tasks) if tasks else {})
        return shares(tasks) if tasks else {}

    def _scratch(self) -> Path:
        folder = tempfile.mkdtemp(prefix="shed-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)


def rejects(prepared: PreparedData) -> pd.DataFrame:
    """The rows that were set aside: `split`, `row` (its place among the given rows), `source` and `reason`."""
    rows: list[tuple[Any, ...]] = [(one.split, place_of(one.record), one.record.source, one.reason) for one in prepared.rejects]
    return pd.DataFrame(rows, columns=["split", "row", "source", "reason"])
