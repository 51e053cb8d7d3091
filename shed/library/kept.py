"""Finished results in a folder, so that none is paid for twice.

In: all that a result depends on, and what makes it. Out: its tables and metrics, as they were kept or made now.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shed.common.atomic_io import read_json, replacing
from shed.common.errors import ShedError
from shed.common.import_closure import code_digest
from shed.common.sealed import sealed_name, take
from shed.data.records import Record
from shed.models import loading
from shed.models.specs import ModelSpec

METRICS = "metrics.json"
LIBRARIES = ("torch", "transformers", "peft")


@dataclass(frozen=True)
class Finished:
    """A result.

    Attributes:
        tables: by their names.
        metrics: plain values.
    """

    tables: Mapping[str, pd.DataFrame]
    metrics: dict[str, Any]


def find_or_make(folder: Path, asked: Mapping[str, Any], make: Callable[[], Finished]) -> Finished:
    """The result that depends on all that is asked, and on nothing else; it is read from its files when it was just made, too.

    Files that are not as they were kept are moved aside, and the result is made again.

    Args:
        asked: plain values.
    """
    own = folder / digest(asked)
    kept = take(own)
    if kept is None:
        _write(own, make())
        kept = take(own)
        if kept is None:
            raise ShedError(f"what was written to {folder} cannot be read back as it was; choose a folder on another disk")
    return _read(kept)


def digest(asked: Mapping[str, Any]) -> str:
    """16 hex digits that change with any of these plain values."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def of_model(model: ModelSpec, manifest: Mapping[str, Any], *code: str) -> dict[str, Any]:
    """The model, the modules that compute with it, and what else changes its numbers."""
    return {
        "code": code_digest(*code),
        "versions": {name: version(name) for name in LIBRARIES},
        "bfloat16": loading.has_fast_bfloat16(),
        "model": [asdict(replace(model, folder=None)), dict(manifest)],
    }


def of_records(records: Sequence[Record]) -> list[Any]:
    """Records that are measured on: their texts, options and tasks."""
    return [[one.id, one.choices, one.answer, one.source] for one in records]


def of_ids(records: Sequence[Record]) -> str:
    """The texts of records in their order."""
    return hashlib.sha256("\n".join(one.id for one in records).encode()).hexdigest()


def of_table(table: pd.DataFrame) -> str:
    """The values of a table of numbers and texts."""
    return hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()


def _write(own: Path, finished: Finished) -> None:
    with replacing(own, sealed_name) as temporary:
        temporary.mkdir()
        for name, table in finished.tables.items():
            table.to_parquet(temporary / f"{name}.parquet", index=False)
        text = json.dumps(finished.metrics, default=lambda value: value.item())  # whole, unlike the pipeline's files of metrics
        (temporary / METRICS).write_text(text, encoding="utf-8")


def _read(kept: Path) -> Finished:
    tables = {path.stem: _with_lists(pd.read_parquet(path)) for path in kept.glob("*.parquet")}
    return Finished(tables, read_json(kept / METRICS))


def _with_lists(table: pd.DataFrame) -> pd.DataFrame:
    """The table with lists where Parquet has arrays."""
    for name in table.select_dtypes(object).columns:
        table[name] = [value.tolist() if isinstance(value, np.ndarray) else value for value in table[name]]
    return table
