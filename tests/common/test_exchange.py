"""A folder that is replaced is the old one or the new one, whenever the process that replaces it is killed."""

import errno
from pathlib import Path

import pytest
from killing import killed_at

from shed.common import exchange
from shed.common.atomic_io import replacing
from shed.common.errors import ShedError

FILES = ("config.json", "weights", "card")


def write(path: Path, text: str) -> None:
    """Replace a folder by one whose files all say the same."""
    with replacing(path) as temporary:
        temporary.mkdir()
        for name in FILES:
            (temporary / name).write_text(text)


def content(path: Path) -> set[str]:
    assert {one.name for one in path.iterdir()} == set(FILES)
    return {(path / name).read_text() for name in FILES}


def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path: Path) -> None:
    seen, moment, at_work = [], 0, True
    while at_work:
        moment += 1
        path = tmp_path / str(moment) / "adapter"
        write(path, "old")
        at_work = killed_at(moment, lambda path=path: write(path, "new"))
        (found,) = content(path)
        seen.append(found)
    assert moment > 10
    assert seen == sorted(seen, reverse=True)  # first the old one, then the new one
    assert {"old", "new"} == set(seen[:-1])  # the last of all was not killed


def test_where_names_cannot_be_exchanged_the_next_write_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    gone, moment, at_work = 0, 0, True
    while at_work:
        moment += 1
        path = tmp_path / str(moment) / "adapter"
        write(path, "old")
        at_work = killed_at(moment, lambda path=path: write(path, "new"))
        gone += not path.exists()
        with pytest.raises(RuntimeError, match="stopped"), replacing(path):
            raise RuntimeError("stopped")
        assert content(path) in ({"old"}, {"new"})
    assert gone == 1  # the moment between the two renames


def test_a_name_that_cannot_be_taken_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    path = tmp_path / "adapter"
    write(path, "old")
    rename = Path.rename

    def full(own: Path, target: Path) -> Path:
        if target == path and not own.name.endswith(exchange.OLD):
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(own, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(ShedError, match="cannot write .*adapter: No space left on device; choose a folder with room"):
        write(path, "new")
    assert content(path) == {"old"}
    assert [one.name for one in tmp_path.iterdir()] == ["adapter"]


def test_a_link_to_a_folder_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "cache", "old")
    (tmp_path / "adapter").symlink_to(tmp_path / "cache")
    write(tmp_path / "adapter", "new")
    assert not (tmp_path / "adapter").is_symlink()
    assert (content(tmp_path / "adapter"), content(tmp_path / "cache")) == ({"new"}, {"old"})
