"""A stage that is run by hand says what it lacks."""

import shutil
from pathlib import Path

import pytest

from stages import main, sample


def test_a_missing_input_is_one_line(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(project_root / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^shed: error: data/clusters\.parquet: no such file; an earlier stage makes it"):
        main(sample.run)
