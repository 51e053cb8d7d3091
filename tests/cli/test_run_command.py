"""`shed run` runs DVC: what stages say stays visible, the status is DVC's, and Ctrl-C is passed on once."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from toy_pipeline import command, make_toy

from shed.cli.app import main
from shed.cli.running.picture import Picture, clock
from shed.cli.running.process import BAR_FIELDS, FIELD, MARK
from shed.params import load_params


def run(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["run", *words])
    return ended.value.code


def test_piped_it_shows_the_lines_of_dvc_and_the_verdict_and_runs_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = make_toy(tmp_path / "toy")
    monkeypatch.chdir(root / "data")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert run() == 0
    printed = capfd.readouterr()
    assert re.findall(r"Running stage '(\w+)'", printed.out) == ["first", "verdict"]
    assert printed.out.endswith("The toy is better.\n")
    assert "shed: first warns of [nothing]" in printed.err
    assert (root / "first").read_text(encoding="utf-8") == sys.executable, "stages use the Python that runs the command"
    assert run("first", "--json") == 0
    printed = capfd.readouterr()
    assert "Stage 'first' didn't change, skipping" in printed.err
    told = json.loads(printed.out)
    assert told.pop("seconds") > 0
    assert told == {"status": 0, "verdict": None}, "the stage that was asked for says nothing of the verdict"


def test_a_stage_that_fails_gives_the_status_of_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(make_toy(tmp_path / "toy", "fails"))
    status = run()
    printed = capfd.readouterr()
    assert "shed: error: it cannot be" in printed.err
    assert "failed to reproduce 'verdict'" in printed.err
    assert "better" not in printed.out
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    alone = subprocess.run([sys.executable, "-m", "dvc", "repro"], env=os.environ | {"PATH": path}, check=False)
    assert status == alone.returncode != 0


def test_where_a_kill_has_cut_the_lock_it_says_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = make_toy(tmp_path / "toy")
    monkeypatch.chdir(root)
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  first:\n    cmd: x\n    deps:\n    - path:", encoding="utf-8")
    assert run() != 0
    said = capfd.readouterr().err.splitlines()
    assert said[-1] == f"shed: error: DVC cannot read {root / 'dvc.lock'}; `shed doctor` says what to do"


def test_what_params_refuse_is_said_before_dvc_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = make_toy(tmp_path / "toy")
    monkeypatch.chdir(root)
    (root / "data/dev.jsonl").unlink()
    assert str(run()).startswith("shed: error: data.dev: data/dev.jsonl")
    assert "Running stage" not in capfd.readouterr().out


def test_changes_of_params_are_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = make_toy(tmp_path / "toy", git=True)
    monkeypatch.chdir(root)
    before = (root / "params.yaml").read_text(encoding="utf-8")
    assert run("-S", "C=16", "-S", "sampler=qwcs", "first") == 0
    assert re.findall(r"Running stage '(\w+)'", capfd.readouterr().out) == ["first"]
    after = (root / "params.yaml").read_text(encoding="utf-8")
    assert after == before.replace("C: 32\n", "C: 16\n").replace("sampler: top\n", "sampler: qwcs\n"), "comments are kept"
    assert run("-S", "regime.modules=[q_proj]", "-S", "sample.fraction=null", "-S", "sample.rows=1", "first") == 0
    values = load_params(root / "params.yaml")
    assert (values.regime.modules, values.sample.fraction, values.sample.rows) == (["q_proj"], None, 1)
    assert run("-S", "sample.rows=none at all") != 0
    assert load_params(root / "params.yaml") == values, "what is refused changes nothing"


def test_an_experiment_without_a_name_in_git_is_refused_before_params_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_toy(tmp_path / "toy", git=True)
    monkeypatch.chdir(root)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    before = (root / "params.yaml").read_bytes()
    subprocess.run(["git", "config", "--unset", "user.email"], check=True)
    assert "`git config --global user.email ADDRESS`" in str(run("-S", "C=16", "first"))
    assert (root / "params.yaml").read_bytes() == before


def on_a_terminal(root: Path, *words: str, interrupted_at: Path | None = None) -> tuple[int, str]:
    """The status, and all that is drawn on a terminal of 80 columns; Ctrl-C is pressed once a file is there."""
    terminal, its = pty.openpty()
    termios.tcsetwinsize(its, (40, 80))
    process = command(root, *words, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    drawn = b""
    while True:
        if interrupted_at is not None and interrupted_at.exists():
            process.send_signal(signal.SIGINT)
            interrupted_at = None
        try:
            drawn += os.read(terminal, 2**16)
        except OSError:
            break
    os.close(terminal)
    return process.wait(), drawn.decode()


def test_on_a_terminal_one_picture_shows_stages_and_bars_below_what_stages_say(tmp_path: Path) -> None:
    root = make_toy(tmp_path / "toy", "fails")
    status, drawn = on_a_terminal(root, "run")
    assert status != 0
    seen = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", drawn)
    assert MARK not in seen
    assert "outer 1 of 3" in seen
    assert re.search(r"inner \d of 4, \d s left", seen)
    assert re.search(r"running +first \d s", seen)
    assert re.search(r"left +verdict", seen)
    assert re.search(r"done +first \d s\s+running +verdict", seen)
    for line in ("shed: first warns of [nothing]", "shed: error: it cannot be"):
        assert re.search(rf"[\r\n]{re.escape(line)}\r\n", seen), line
    assert re.search(r"shed: first \d s, verdict has failed after \d s; \d s in all\r\n$", seen)
    assert "Updating lock file" not in seen


def test_ctrl_c_reaches_the_stage_once_and_the_next_run_goes_on_from_there(tmp_path: Path) -> None:
    root = make_toy(tmp_path / "toy", "sleeps")
    process = command(root, "run", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(600):
        if (root / "begun").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "shed: interrupted; what was finished is kept, and `shed run` goes on from there" in told.decode()
    assert (root / "interrupted").read_text(encoding="utf-8") == "once\n"
    assert not (root / "verdict").exists()
    done = command(root, "run", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = done.communicate(timeout=60)[0].decode()
    assert done.returncode == 0
    assert "Stage 'first' didn't change, skipping" in output
    assert "Running stage 'verdict'" in output


def test_ctrl_c_on_a_terminal_is_one_line_and_doctor_finds_nothing_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stage and DVC say that they were interrupted, which is no news; what is left to run is no fault."""
    root = make_toy(tmp_path / "toy", "sleeps", git=True)
    status, drawn = on_a_terminal(root, "run", interrupted_at=root / "begun")
    assert status == 130
    assert "shed: interrupted" not in drawn
    assert "ERROR" not in drawn
    seen = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", drawn)
    assert re.search(
        r"shed: first \d s, verdict was stopped after \d s; \d s in all; what was finished is kept, and `shed run` goes on from "
        r"there\r\n$",
        seen,
    )
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    said = capsys.readouterr().out
    assert ended.value.code == 0, said
    assert said.startswith("All is well: ")
    assert "note: stages that have not run yet: verdict\n" in said


def test_what_a_killed_run_leaves_does_not_stand_on_the_picture() -> None:
    picture = Picture(["first"])
    left = "WARNING: Process 'dvc repro' with (Pid 4194305), in RWLock-file '.dvc/tmp/rwlock' had been killed. Auto removed it from"
    assert not list(picture.lines(f"{left} the lock file.\r\n"))
    assert list(picture.lines("WARNING: another\r\n")) == ["WARNING: another"]
    picture.stopping = True
    assert list(picture.lines("ERROR: failed to reproduce 'first'\r\nshed: error: the disk is full\r\n")) == [
        "shed: error: the disk is full"
    ]


def bar(what: str, done: int, total: int | str, left: str = "2.0") -> str:
    assert len(BAR_FIELDS) == 4
    return f"\r{MARK}{FIELD.join([f'{what}: ', str(done), str(total), left])}{MARK}"


PRINTED = (
    "Stage 'fetch' didn't change, skipping\r\nRunning stage 'rate':\r\n> python -m stages.rate\r\n"
    f"shed: note\x07\r\n{bar('rating', 1, 4)}{bar('batch', 7, '?')}\n{bar('rating', 2, 4)}"
    "\x1b[31mwarning\x1b[39m: odd\r\n  0% hidden\r      \r"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_what_is_printed_is_understood_in_pieces_of_any_size(size: int) -> None:
    picture = Picture(["fetch", "rate", "score"])
    kept = [line for at in range(0, len(PRINTED), size) for line in picture.lines(PRINTED[at : at + size])]
    assert kept == ["shed: note", "warning: odd"]
    assert picture.unchanged == ["fetch"]
    assert picture.running == "rate"
    assert [(one.what, one.done, one.total) for one in picture.bars] == [("rating", 2, 4)]
    assert not list(picture.lines("Running stage 'score':\r\n"))
    assert list(picture.done) == ["rate"]
    assert not picture.bars


def test_times_are_told_as_a_clock_does() -> None:
    assert [clock(seconds) for seconds in (0.4, 59.4, 59.6, 125, 3725)] == ["0 s", "59 s", "1:00", "2:05", "1:02:05"]
