"""What is kept under a digest of its bytes is found as it was kept, or not at all."""

from pathlib import Path

import pytest
from killing import killed_at

from shed.common.atomic_io import replacing
from shed.common.errors import ShedError
from shed.common.sealed import find, seal, sealed_name, set_aside, take


def keep(path: Path, text: str) -> None:
    with replacing(path, sealed_name) as temporary:
        temporary.write_text(text)


def keep_folder(path: Path, texts: dict[str, str]) -> None:
    with replacing(path, sealed_name) as temporary:
        for name, text in texts.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(text)


def test_a_file_is_found_by_its_key_and_stands_under_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "key.npy"
    assert find(path) is None
    assert take(path) is None
    keep(path, "1")
    (found,) = tmp_path.iterdir()
    assert found == find(path) == take(path)
    assert found.name != path.name
    assert find(tmp_path / "key.parquet") is find(tmp_path / "ke.npy") is None
    path.write_text("1")
    assert seal(path) == found  # the same key and bytes


def test_what_is_damaged_gives_way_to_what_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key.npy"
    keep(path, "1")
    (first,) = tmp_path.iterdir()
    first.write_text("2")
    keep(path, "3")
    found = find(path)
    assert found is not None
    assert found.read_text() == "3"
    assert first.exists()
    first.unlink()
    found.write_text("4")
    assert find(path) is None
    assert found.exists()
    assert take(path) is None
    assert not found.exists()
    assert [one.read_text() for one in tmp_path.glob("key-*.damaged-*")] == ["4"]
    said = capsys.readouterr().err
    assert said.startswith(f"shed: {found} is damaged: it is not as it was kept; moved to ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("damage", ["another text", "one less", "one more", "another name", "another place"])
def test_a_folder_is_found_only_with_the_files_that_it_had(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    keep_folder(path, {"a": "1", "b/c": "2"})
    found = find(path)
    assert found is not None
    if damage == "another text":
        (found / "b" / "c").write_text("3")
    elif damage == "one less":
        (found / "a").unlink()
    elif damage == "one more":
        (found / "d").touch()
    elif damage == "another name":
        (found / "a").rename(found / "e")
    else:
        (found / "b" / "c").rename(found / "c")
    assert find(path) is None
    assert take(path) is None
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


def test_a_kill_at_any_moment_leaves_nothing_or_all_to_be_found(tmp_path: Path) -> None:
    found, moment, at_work = [], 0, True
    while at_work:
        moment += 1
        path = tmp_path / str(moment) / "key"
        at_work = killed_at(moment, lambda path=path: keep_folder(path, {"a": "1", "b/c": "2"}))
        found.append(take(path) is not None)
        assert not list(path.parent.glob("*.damaged-*"))
    assert found == sorted(found)
    assert {True, False} == set(found)


def test_what_cannot_be_read_or_moved_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path / "key.npy", "1")
    (path,) = tmp_path.iterdir()

    def refuse(*_: object, **__: object) -> None:  # a superuser may do anything, so the system's answer is given here
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ShedError, match="cannot read .*: Permission denied; make it readable, or delete it to have it made"):
        find(tmp_path / "key.npy")
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ShedError, match="is damaged and cannot be moved aside: Permission denied; move it away and run again"):
        set_aside(path)
    assert path.exists()
