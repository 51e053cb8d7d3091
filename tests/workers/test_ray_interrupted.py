"""Work under Ray that is interrupted, since the driver is killed or its disk is full: what was done is kept, and the rest is done."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from killed_driver import KEPT, POOL, rated

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.valuation import ratings
from shed.valuation.rated_blocks import RatedBlocks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def rated_anew(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of what is rated from now on."""
    found: list[str] = []
    keep = RatedBlocks.keep_block

    def counted(own: RatedBlocks, records: list[Record], rows: pd.DataFrame) -> None:
        keep(own, records, rows)
        found.extend(record.id for record in records)

    monkeypatch.setattr(RatedBlocks, "keep_block", counted)
    return found


def test_a_driver_that_is_killed_goes_on_from_what_it_had_kept(
    cluster: Any, tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings, "BLOCK", 1)
    own = rated(tmp_path / "own", records, tiny_model, None)
    file, tests = tmp_path / "records.jsonl", Path(__file__).parents[1]
    file.write_text("".join(f"{json.dumps(record.to_row())}\n" for record in records))
    program = [sys.executable, str(tests / "workers/killed_driver.py"), str(tmp_path / "killed"), str(file), tiny_model]
    paths = os.pathsep.join([str(tests), os.environ["PYTHONPATH"]])
    killed = subprocess.run([*program, cluster.address], env=os.environ | {"PYTHONPATH": paths}, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    new = rated_anew(monkeypatch)
    again = rated(tmp_path / "killed", records, tiny_model, cluster.address)
    assert len(new) == POOL - KEPT
    np.testing.assert_array_equal(again.ratings, own.ratings)


def test_a_disk_that_is_full_costs_the_block_that_was_written_alone(
    cluster: Any, tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings, "BLOCK", 1)
    own = rated(tmp_path / "own", records, tiny_model, None)
    written: list[Path] = []
    whole = pd.DataFrame.to_parquet

    def full(rows: pd.DataFrame, path: Path, **more: Any) -> None:
        if len(written) == KEPT:
            Path(path).write_bytes(b"PAR1 half of a blo")
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(rows, path, **more)
        written.append(path)

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(ShedError, match="No space left on device"):
            rated(tmp_path / "full", records, tiny_model, cluster.address)
    new = rated_anew(monkeypatch)
    again = rated(tmp_path / "full", records, tiny_model, cluster.address)
    assert len(new) == POOL - KEPT
    np.testing.assert_array_equal(again.ratings, own.ratings)
