"""Files are whole or absent."""

from pathlib import Path

import numpy as np
import pytest

from shed.common.atomic_io import read_array, read_json, replacing, write_array, write_json
from shed.common.errors import ShedError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"loss": 1.23456789})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": float("nan")})
    assert read_json(path) == {"loss": 1.234568}
    assert names(tmp_path) == ["metrics.json"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with replacing(tmp_path / "adapter") as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert names(tmp_path / "adapter") == ["new"]


def test_arrays_round_trip(tmp_path: Path) -> None:
    write_array(tmp_path / "deep" / "a.npy", np.arange(6.0).reshape(2, 3))
    assert read_array(tmp_path / "deep" / "a.npy").shape == (2, 3)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ShedError, match=r"cannot write .*file/a\.json: .*; choose a folder"):
        write_json(tmp_path / "file" / "a.json", {})

    def refuse(*_: object, **__: object) -> str:  # a superuser may write anywhere, so the system's answer is given here
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shed.common.atomic_io.tempfile.mkdtemp", refuse)
    with pytest.raises(ShedError, match=r"cannot write .*a\.json: Permission denied; choose a folder"):
        write_json(tmp_path / "a.json", {})
