"""What was rated, kept by blocks of the pool as it is made, so that a run that was stopped goes on where it was.

In: a folder, and all that ratings depend on. Out: the warm start and the blocks that were finished.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shed.common.atomic_io import read_array, write_array, write_table
from shed.data.records import Record


@dataclass(frozen=True)
class RatedBlocks:
    """Blocks of one rating, in a folder of its own below `folder`, which bears the digest of what it depends on.

    Attributes:
        asked: plain values: the model's manifest, settings, the code's digest, whatever else a rating depends on.
    """

    folder: Path
    asked: Mapping[str, Any]

    def also(self, **asked: Any) -> "RatedBlocks":
        """The blocks of a rating that depends on more."""
        return replace(self, asked={**self.asked, **asked})

    @cached_property
    def _own(self) -> Path:
        digest = hashlib.sha256(json.dumps(self.asked, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / digest

    def array(self, name: str) -> np.ndarray | None:
        """What was kept under this name, or None."""
        path = self._own / f"{name}.npy"
        return read_array(path) if path.exists() else None

    def keep_array(self, name: str, array: np.ndarray) -> None:
        write_array(self._own / f"{name}.npy", array)

    def block(self, records: Sequence[Record]) -> pd.DataFrame | None:
        """The rows of these very records, or None."""
        path = self._path(records)
        return pd.read_parquet(path) if path.exists() else None

    def keep_block(self, records: Sequence[Record], rows: pd.DataFrame) -> None:
        write_table(self._path(records), rows)

    def forget(self) -> None:
        """Remove what was kept of this rating."""
        shutil.rmtree(self._own, ignore_errors=True)

    def _path(self, records: Sequence[Record]) -> Path:
        ids = hashlib.sha256("\n".join(record.id for record in records).encode()).hexdigest()[:16]
        return self._own / f"block-{ids}.parquet"
