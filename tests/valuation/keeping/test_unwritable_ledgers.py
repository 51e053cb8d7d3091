"""A ledger that cannot be written, or is of another version, is one line, and nothing of it is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sine_game import COALITIONS, SineGame, played, rows

from shed.common.errors import ShedError
from shed.valuation.ledger import Ledger


def test_the_write_ahead_log_of_what_is_set_aside_is_kept_beside_it(folder: Path) -> None:
    for path in (folder / "one", folder / "other"):
        path.mkdir()
        for part, content in (("", b"no database" * 99), ("-wal", b"a log"), ("-shm", b"an index")):
            (path / f"ledger.sqlite{part}").write_bytes(content)
        for _ in range(2):
            list(played(path / "ledger.sqlite", SineGame()))
        (aside,) = path.glob("ledger.sqlite.damaged-????????T??????")
        assert aside.read_bytes() == b"no database" * 99
        assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"a log"
        assert aside.with_name(f"{aside.name}-shm").read_bytes() == b"an index"


def test_two_ledgers_that_are_damaged_in_the_same_second_are_both_kept(ledger: Path) -> None:
    for content in (b"first" * 999, b"second" * 999):
        ledger.write_bytes(content)
        Ledger(ledger)
    assert {path.read_bytes()[:5] for path in ledger.parent.glob("ledger.sqlite.damaged-*")} == {b"first", b"secon"}


@pytest.mark.parametrize("table", ["games", "evaluations", "damaged"])
def test_a_ledger_of_another_version_is_left_as_it_is(folder: Path, table: str) -> None:
    path = folder / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {table} (game, something)")
        connection.execute(f"INSERT INTO {table} VALUES (1, 2)")
    before = path.read_bytes()
    with pytest.raises(ShedError, match=f"has other columns in its table {table} than this version of shed; use the version"):
        Ledger(path)
    assert rows(path, f"SELECT * FROM {table}") == [(1, 2)]
    assert [name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")] == [table]
    assert len(before) == path.stat().st_size


def test_a_disk_that_fills_up_in_play_is_one_line_and_what_was_measured_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, connect, most = folder / "ledger.sqlite", sqlite3.connect, [9]

    def small(*about: object, **more: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*about, **more)  # type: ignore[call-overload]
        connection.execute(f"PRAGMA max_page_count = {most[0]}")
        return connection

    monkeypatch.setattr("shed.valuation.ledger.sqlite3.connect", small)
    with pytest.raises(ShedError, match=r"cannot write the ledger .*: database or disk is full; make room on its disk and run"):
        list(played(path, SineGame()))
    kept = len(rows(path, "SELECT * FROM evaluations"))
    assert kept >= 8
    most[0] = 10**6
    game = SineGame()
    assert len(list(played(path, game))) == game.measured + kept == 54


def test_a_lock_of_another_writer_is_one_line(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed.valuation.ledger.WAIT", 0.05)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        game = SineGame()
        assert len(list(played(ledger, game))) == 54  # what is there is read all the same
        with (
            pytest.raises(
                ShedError, match="database is locked; wait for the program that writes to it, or end it, and run again"
            ),
            Ledger(ledger).play(game, {"game": "sine"}) as play,
        ):
            play.value(1 - COALITIONS)


def test_a_disk_that_does_not_keep_what_is_written_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed.valuation.keeping.evaluations.KeptEvaluations.insert", lambda own, name, row: None)
    with pytest.raises(ShedError, match="does not give back what it keeps; see whether its disk fails, and run again"):
        list(played(folder / "ledger.sqlite", SineGame()))
