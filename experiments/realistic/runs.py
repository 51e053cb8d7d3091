"""The runs that were made, kept in the folder of results so that a later session goes on from them.

In: cells with their rows, and a ledger that tunes and evaluates. Out: the items of each run, with what it cost; and about how
long those that are missing will take.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.realistic.plan import Cell
from experiments.realistic.setup import Setup
from shed.common.atomic_io import read_json, write_json, write_table
from shed.common.import_closure import code_digest
from shed.data.records import Record
from shed.evaluation.run_ledger import CODE, RunLedger, RunSettings
from shed.models.loading import has_fast_bfloat16
from shed.models.parallel import threads_used
from shed.settings.tuning import tuning_settings

INDEX, UNTUNED = "runs.json", "untuned"
COLUMNS = ["task", "id", "nats", "tokens", "written"]
PASSES = 3  # of a token in a step of tuning where records are long: forward, again, and backward


class Runs:
    """Runs in a folder of results.

    Args:
        results: where items and the index of runs are kept.
        scratch: where the ledger of runs is.
    """

    def __init__(self, setup: Setup, results: Path, scratch: Path) -> None:
        self._setup, self._results = setup, results
        tuning = tuning_settings(setup.params.finetune, 0)
        splits = {"dev": setup.splits.dev, "test": setup.splits.test}
        size = setup.params.evaluate.batch_size
        settings = RunSettings(setup.spec, setup.manifest, tuning, splits, None, size, setup.question_task(scratch))
        self._ledger = RunLedger(scratch / "runs", settings)

    def index(self) -> dict[str, dict[str, Any]]:
        """What is known of each run by its name: rows, tokens, seconds, where it was made."""
        return index_of(self._results)

    def has(self, cell: Cell) -> bool:
        """True if the run was made."""
        return cell.name in self.index() and _path(self._results, cell.name).is_file()

    def untuned(self) -> None:
        """Evaluate the untuned model, which also says what an evaluation costs."""
        if UNTUNED not in self.index():
            self._make(UNTUNED, [], 0)

    def make(self, cell: Cell, rows: Sequence[Record]) -> None:
        """Tune and evaluate, or take over a run with the same rows and seed.

        Raises:
            ShedError: as a tuning or an evaluation does.
        """
        self._make(cell.name, rows, cell.seed)

    @property
    def evaluating(self) -> float:
        """Processor seconds of an evaluation; 0 where it was kept before it was timed, as by a session that was killed."""
        return float(self.index()[UNTUNED].get("processor_seconds", 0.0))

    def hours(self, cells: Sequence[Cell]) -> float:
        """About how many processor hours these runs take, without what their signals do."""
        index, lengths = self.index(), self._setup.lengths["tokens"]
        evaluating = self.evaluating
        tuned = [one for one in index.values() if one["tokens"] and "processor_seconds" in one and "same_as" not in one]
        passes = self._setup.params.finetune.epochs
        if tuned:
            spent = sum(max(0.0, one["processor_seconds"] - evaluating) for one in tuned)
            a_token = spent / sum(one["tokens"] for one in tuned)
        else:
            a_token = PASSES * passes * evaluating / self._setup.measured_tokens
        tokens = sum(cell.share * float(lengths.sum()) for cell in cells)
        return float(a_token * tokens + evaluating * len(cells)) / 3600

    def _make(self, name: str, rows: Sequence[Record], seed: int) -> None:
        asked = hashlib.sha256(f"{seed}\n{[record.id for record in rows]}".encode()).hexdigest()[:16]
        same = next((one for one, own in self.index().items() if own["asked"] == asked), None)
        if same is not None:
            self._keep(name, items_of(self._results, same), {**self.index()[same], "same_as": same})
            return
        there, before, began = self._ledger.has(rows, seed), time.process_time(), time.time()
        items = self._ledger.items(rows, seed)
        lengths = self._setup.lengths.set_index("id").loc[[record.id for record in rows]]
        about = {
            "asked": asked,
            "rows": len(rows),
            "tokens": int(lengths["tokens"].sum()),
            "response_tokens": int(lengths["response_tokens"].sum()),
            "sources": lengths["source"].value_counts().sort_index().to_dict(),
            "threads": threads_used(),
            "bfloat16": has_fast_bfloat16(),
            "code": code_digest(*CODE),
        }
        if not there:
            about |= {"processor_seconds": time.process_time() - before, "seconds": time.time() - began}
        self._keep(name, items[COLUMNS], about)

    def _keep(self, name: str, items: pd.DataFrame, about: dict[str, Any]) -> None:
        write_table(_path(self._results, name), items.astype({"nats": "float32", "tokens": "float32", "written": "float32"}))
        write_json(self._results / INDEX, dict(sorted({**self.index(), name: about}.items())))


def index_of(results: Path) -> dict[str, dict[str, Any]]:
    """The index of a folder of results; empty where no run was made."""
    path = results / INDEX
    found: dict[str, dict[str, Any]] = read_json(path) if path.is_file() else {}
    return found


def items_of(results: Path, name: str) -> pd.DataFrame:
    """The items of a run that was made: `task`, `id`, `nats`, `tokens`, `written`."""
    return pd.read_parquet(_path(results, name))


def _path(results: Path, name: str) -> Path:
    return results / "runs" / f"{name}.parquet"
