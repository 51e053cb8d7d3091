"""What was rated, kept by blocks of the pool as it is made, so that a run that was stopped goes on where it was.

In: a folder, and all that ratings depend on. Out: the warm start and the blocks that were finished, as they were kept: what is
damaged is moved aside, and not there (`shed.common.sealed`).
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

from shed.common.atomic_io import read_array, replacing
from shed.common.sealed import sealed_name, take
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
        found = take(self._own / f"{name}.npy")
        return None if found is None else read_array(found)

    def keep_array(self, name: str, array: np.ndarray) -> None:
        with replacing(self._own / f"{name}.npy", sealed_name) as temporary:
            np.save(temporary, array, allow_pickle=False)

    def block(self, records: Sequence[Record]) -> pd.DataFrame | None:
        """The rows of these very records, or None."""
        found = take(self._path(records))
        return None if found is None else pd.read_parquet(found)

    def keep_block(self, records: Sequence[Record], rows: pd.DataFrame) -> None:
        with replacing(self._path(records), sealed_name) as temporary:
            rows.to_parquet(temporary, index=False)

    def forget(self) -> None:
        """Remove what was kept of this rating."""
        shutil.rmtree(self._own, ignore_errors=True)

    def _path(self, records: Sequence[Record]) -> Path:
        ids = hashlib.sha256("\n".join(record.id for record in records).encode()).hexdigest()[:16]
        return self._own / f"block-{ids}.parquet"
