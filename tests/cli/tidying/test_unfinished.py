"""What a killed process left beside what it wrote is found, but never the only copy of what was there."""

import os
import time
from pathlib import Path

import pytest

from shed.cli.tidying.unfinished import find_unfinished


def test_an_old_folder_is_left_over_only_where_the_new_one_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHED_CACHE", str(tmp_path / "cache"))
    left = [
        tmp_path / "data" / ".adapter.ab12cd_3" / "adapter.old" / "weights",
        tmp_path / ".shed" / ".ledger.sqlite.ab12cd_3" / "ledger.sqlite-wal",
    ]
    needed = tmp_path / "data" / ".export.ab12cd_3" / "export.old" / "rows"
    for file in (*left, needed, tmp_path / "data" / "adapter" / "weights"):
        file.parent.mkdir(parents=True)
        file.touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() - 86_400,) * 2)
    assert [one.where for one in find_unfinished(tmp_path)] == [
        str(tmp_path / "data" / ".adapter.ab12cd_3"),
        str(tmp_path / ".shed" / ".ledger.sqlite.ab12cd_3"),
    ]
