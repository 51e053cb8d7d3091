"""What was paid for once is never paid for again: after a kill, in a rerun, with a larger k, and in two processes."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from counting_game import CountingGame

from shed.common.errors import ShedError
from shed.valuation.budget import Budget, spend
from shed.valuation.estimators.removal import Removal
from shed.valuation.game import Evaluation, Run
from shed.valuation.ledger import Ledger


def start(tmp_path: Path, k: int, hold: float = float("inf")) -> "subprocess.Popen[str]":
    program = Path(__file__).parent / "counting_game.py"
    command = [sys.executable, str(program), str(tmp_path / "ledger.sqlite"), str(tmp_path / "log"), "8", str(k), str(hold)]
    root = str(program.parents[3])
    return subprocess.Popen(command, env={"PYTHONPATH": root}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def logged(tmp_path: Path) -> list[str]:
    path = tmp_path / "log"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(("hold", "kept"), [(5, 0), (9 + 3, 9)])  # a removal's nine coalitions are tuned eight and one together
def test_a_run_killed_half_way_repeats_at_most_the_evaluations_in_flight(tmp_path: Path, hold: int, kept: int) -> None:
    running = start(tmp_path, k=3, hold=hold)
    while len(logged(tmp_path)) < hold:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)  # in the middle of coalitions that are tuned together
    running.wait()
    out, _ = start(tmp_path, k=3).communicate()
    again = [line for line, times in Counter(logged(tmp_path)).items() if times > 1]
    assert again == logged(tmp_path)[kept:hold]
    untouched, _ = start(tmp_path / "fresh", k=3).communicate()
    assert out.split("]")[0] == untouched.split("]")[0]  # and the scores are those of a run that nobody killed


def test_a_larger_k_pays_for_the_new_evaluations_only(tmp_path: Path) -> None:
    start(tmp_path, k=2).wait()
    start(tmp_path, k=4).wait()
    lines = logged(tmp_path)
    assert len(lines) == len(set(lines))


def test_two_processes_on_one_game_share_the_work_of_one(tmp_path: Path) -> None:
    first = start(tmp_path, k=3, hold=1)
    while not logged(tmp_path):
        time.sleep(0.01)
    second = start(tmp_path, k=3)
    assert second.stderr is not None
    assert "another process is evaluating the same game; waiting" in second.stderr.readline()
    (tmp_path / "log.open").touch()
    out, _ = second.communicate()
    first.wait()
    assert out.split("] ")[1].startswith("0 ")  # the second found all and measured none
    assert len(logged(tmp_path)) == len(set(logged(tmp_path)))


def test_another_description_is_another_game(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for data, new in (("old", 1), ("new", 1), ("old", 0)):
        with ledger.play(CountingGame(tmp_path / "log", 3), {"data": data}) as game:
            game.value(np.ones((2, 3), dtype=bool))
            assert game.new == new


def test_the_cost_is_that_of_all_evaluations_used_even_if_none_is_new(tmp_path: Path) -> None:
    for _ in range(2):
        with Ledger(tmp_path / "ledger.sqlite").play(CountingGame(tmp_path / "log", 4), {}) as game:
            outcome = spend(Removal(n=2, k=1, seed=0), game, Budget())
            assert outcome.cost.fte == pytest.approx(0.5 + 1.0)
            assert outcome.cost.seconds == 3 * 0.5


def test_marginals_are_kept_like_utilities_and_apart_from_them(tmp_path: Path) -> None:
    weights = np.array([1.0, 0.5, 0.0])
    for new in (1, 0):
        with Ledger(tmp_path / "ledger.sqlite").play(CountingGame(tmp_path / "log", 3), {}) as game:
            (run,) = game.find_or_evaluate(weights[None], Run("metagradient"))
            np.testing.assert_array_equal(run.marginals, weights)
            assert game.new == new
            (evaluation,) = game.find_or_evaluate(weights[None])
            assert evaluation.marginals is None


def test_what_diverged_is_recorded_with_its_coalition(tmp_path: Path) -> None:
    class Diverging(CountingGame):
        def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
            return [Evaluation(np.nan if one[2] else 1.0, 0.5, 0.5) for one in weights]

    path, coalitions = tmp_path / "ledger.sqlite", np.array([[1, 1, 0], [0, 1, 1]], dtype=bool)
    for _ in range(2):
        with Ledger(path).play(Diverging(tmp_path / "log", 3), {}) as game:
            np.testing.assert_array_equal(game.value(coalitions), [1.0, np.nan])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT members FROM diverged").fetchall() == [("1\n2",)]


def test_a_ledger_that_is_only_locked_is_not_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path)

    def locked(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr("shed.valuation.ledger.sqlite3.connect", locked)
    with pytest.raises(ShedError, match="cannot write the ledger .*: database is locked"):
        Ledger(path)
    assert [found.name for found in tmp_path.iterdir() if "damaged" in found.name] == []


def test_a_damaged_ledger_is_moved_aside_and_the_user_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path).play(CountingGame(tmp_path / "log", 3), {}) as game:
        game.value(np.ones((1, 3), dtype=bool))
    path.write_bytes(b"not a database" * 400)
    with Ledger(path).play(CountingGame(tmp_path / "log", 3), {}) as game:
        game.value(np.ones((1, 3), dtype=bool))
        assert game.new == 1
    assert "is damaged" in capsys.readouterr().err
    assert len(list(tmp_path.glob("ledger.sqlite.damaged-*"))) == 1


def test_a_ledger_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ShedError, match=r"cannot write the ledger .*/file/ledger\.sqlite: "):
        Ledger(tmp_path / "file" / "ledger.sqlite")
