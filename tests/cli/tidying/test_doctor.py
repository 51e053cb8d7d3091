"""What a stopped run leaves is found and mended; what may be somebody's work is left alone; the environment is looked at."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from project_calls import call

from shed.cli.sharing import lock
from shed.cli.tidying import environment, experiments, unfinished

ROOT = Path(__file__).parents[3]
LONG_AGO = time.time() - 86_400
DEAD = 2**22 + 1  # above the largest process id of Linux


def run(folder: Path, *command: str) -> str:
    who = {f"GIT_{role}_{what}": "user@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(command, cwd=folder, env={**os.environ, **who}, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in order, with a cache folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    (folder / ".dvc" / "tmp").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("", encoding="utf-8")
    (folder / ".gitignore").write_text("/.dvc/tmp\n/.dvc/cache\n.venv\n", encoding="utf-8")
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", folder)
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "first")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SHED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("shed.cli.tidying.pipeline.changed_stages", lambda root: [])  # DVC takes seconds to say so
    return folder


@pytest.fixture
def asked_of_dvc(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed.cli.tidying.pipeline.changed_stages", lock.changed_stages)


def findings(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    call("doctor", "--json", *words)
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    return found


def age(path: Path) -> None:
    for one in (path, *path.rglob("*")):
        os.utime(one, (LONG_AGO, LONG_AGO))


def killed_experiment(project: Path) -> None:
    """What DVC leaves where `dvc exp run` and `dvc exp run --temp` are killed, as was seen with DVC 3.67."""
    head = run(project, "git", "rev-parse", "HEAD").strip()
    run(project, "git", "checkout", "--quiet", "--detach", "HEAD")
    for name in ("EXEC_BASELINE", "EXEC_HEAD", "EXEC_MERGE"):
        run(project, "git", "update-ref", f"refs/exps/exec/{name}", head)
    entry = {"pid": DEAD, "cmd": "/bin/dvc exp run -S C=8"}
    temporary = project / ".dvc" / "tmp"
    copy = temporary / "exps" / "standalone" / "tmpaqkx03xl"
    for folder in (temporary, copy / ".dvc" / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
        notes = {"write": {"out": entry}, "read": {"params.yaml": [entry]}}
        (folder / "rwlock").write_text(json.dumps(notes), encoding="utf-8")
        (folder / "lock").write_text(f" {DEAD}\n", encoding="utf-8")
    for place in ("exps/run", "exps/standalone/run"):
        (temporary / place / "13e5826").mkdir(parents=True)
        (temporary / place / "13e5826" / "13e5826.run").write_text('{"status": 2}', encoding="utf-8")
    done = temporary / "exps" / "run" / "77aa"
    done.mkdir()
    (done / "77aa.run").write_text('{"status": 3}', encoding="utf-8")
    with (project / "params.yaml").open("a", encoding="utf-8") as params:
        params.write("# the experiment's\n")


@pytest.mark.usefixtures("asked_of_dvc")
def test_all_is_well(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("doctor") == 0
    assert capsys.readouterr().out.startswith("All is well: ")
    assert call("doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    (project / "dvc.yaml").write_text("stages:\n  rate: {cmd: 'true', params: [C]}\n", encoding="utf-8")
    assert call("doctor") == 0  # nothing has run yet
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n", encoding="utf-8")
    capsys.readouterr()
    assert call("doctor") == 0  # nor has this one
    assert "note: stages that have not run yet: rate\n" in capsys.readouterr().out


def test_a_killed_experiment_is_found_and_mended_and_loses_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed_experiment(project)
    assert call("doctor") == 1
    out = capsys.readouterr().out
    assert "HEAD is on no branch" in out
    assert "before that main" in out
    assert "1 changed files" in out
    assert "`shed doctor --fix` mends 6 of 6." in out
    assert run(project, "git", "branch", "--show-current") == ""

    assert call("doctor", "--fix") == 0
    assert capsys.readouterr().out.count("mended: ") == 6
    assert run(project, "git", "branch", "--show-current").strip() == "main"
    assert "# the experiment's" in (project / "params.yaml").read_text(encoding="utf-8")
    assert run(project, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split() == ["refs/exps/exec/EXEC_HEAD"]
    temporary = project / ".dvc" / "tmp"
    assert not (temporary / "exps" / "standalone" / "tmpaqkx03xl").exists()
    assert [path.name for path in temporary.glob("exps/run/*")] == ["77aa"]  # one that ended keeps its log
    assert json.loads((temporary / "rwlock").read_text(encoding="utf-8")) == {"write": {}, "read": {}}
    assert findings(capsys) == []


def test_what_every_experiment_leaves_is_nothing_wrong(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As was seen after runs that ended, failed, and were stopped by Ctrl-C."""
    run(project, "git", "update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
    temporary = project / ".dvc" / "tmp"
    for name, status in (("0100036", 1), ("7adc2da", 6), ("d6c8b09", 4)):
        (temporary / "exps" / "run" / name).mkdir(parents=True)
        (temporary / "exps" / "run" / name / f"{name}.run").write_text(json.dumps({"status": status}), encoding="utf-8")
    (temporary / "rwlock").write_text("{}", encoding="utf-8")
    (temporary / "lock").write_text(f" {DEAD}\n", encoding="utf-8")
    age(temporary)
    assert findings(capsys) == []


def test_an_experiment_that_runs_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed_experiment(project)
    entry = {"pid": os.getpid(), "cmd": "dvc exp run --temp"}
    notes = project / ".dvc" / "tmp" / "exps" / "standalone" / "tmpaqkx03xl" / ".dvc" / "tmp" / "rwlock"
    notes.write_text(json.dumps({"write": {"out": entry}}), encoding="utf-8")
    assert findings(capsys, "--fix") == []
    assert notes.exists()
    assert run(project, "git", "branch", "--show-current") == ""


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="only there the system tells where a process works")
def test_a_stage_that_outlived_its_dvc_keeps_its_copy(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed_experiment(project)
    copy = project / ".dvc" / "tmp" / "exps" / "standalone" / "tmpaqkx03xl"
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=copy, stdin=subprocess.PIPE) as stage:
        try:
            found = findings(capsys)
        finally:
            stage.kill()
    assert str(copy) not in [one["where"] for one in found]
    assert str(copy) in [one["where"] for one in findings(capsys)]


def test_commits_without_a_branch_are_not_left_behind(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "git", "checkout", "--quiet", "--detach", "HEAD")
    run(project, "git", "commit", "--quiet", "--allow-empty", "--message", "only here")
    (found,) = findings(capsys, "--fix")
    assert not found["can_be_mended"]
    assert "`git switch main`" in found["do"]
    assert run(project, "git", "branch", "--show-current") == ""


def test_cut_off_notes_stop_dvc_and_are_removed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = project / ".dvc" / "tmp" / "rwlock"
    notes.write_text('{"write": {"ou', encoding="utf-8")
    assert findings(capsys) == []  # it may just be being written
    age(notes)
    (found,) = findings(capsys, "--fix")
    assert found["mended"]
    assert not notes.exists()


def test_unfinished_files_are_removed_when_nobody_writes_them(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [
        project / "data" / ".embeddings.npy.ab12cd_3" / "embeddings.npy",
        project / "metrics" / "plots" / ".loss.csv.zzzzzzzz" / "loss.csv",
        tmp_path / "cache" / "models" / ".smollm2-135m-instruct-bcc81830d10c.k2j3h4g5" / "part.gguf",
        tmp_path / "cache" / "wheels" / "tmpabcd1234" / "part.whl",
    ]
    kept = [
        project / "data" / ".mine.npy.ab12cd_3" / "something else",  # not a folder of ours
        project / "data" / ".cache" / "x",
        tmp_path / "cache" / "models" / "all-minilm-l6-v2-b9a0018dff09" / "model.safetensors",
    ]
    for file in (*left, *kept):
        file.parent.mkdir(parents=True)
        file.write_text("x", encoding="utf-8")
    assert findings(capsys) == []  # written just now
    for file in (*left, *kept):
        age(file.parent)
    found = findings(capsys, "--fix")
    assert [one["what"].partition(",")[0] for one in found] == [
        "an unfinished write of embeddings.npy",
        "an unfinished write of loss.csv",
        "a half-converted model",
        "an unfinished download",
    ]
    assert not any(file.parent.exists() for file in left)
    assert all(file.exists() for file in kept)


def test_the_names_that_are_looked_for_are_those_that_are_written(tmp_path: Path) -> None:
    from shed.common.atomic_io import replacing

    with replacing(tmp_path / "model-0123456789ab") as temporary:
        assert unfinished.HALF_WRITTEN.fullmatch(temporary.parent.name)
        temporary.write_text("x", encoding="utf-8")


@pytest.mark.usefixtures("asked_of_dvc")
def test_params_and_lock_that_cannot_be_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(params.replace("sampler: top", "sampler: best"), encoding="utf-8")
    (project / "dvc.lock").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    of_params, of_lock = findings(capsys, "--fix")
    assert "sampler" in of_params["what"]
    assert "marks of a merge" in of_lock["what"]
    assert not of_lock["can_be_mended"]


def test_a_tracker_that_is_not_installed_is_named_with_its_extra(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = (project / "params.yaml").read_text(encoding="utf-8")
    assert "report_to: []" in params
    (project / "params.yaml").write_text(params.replace("report_to: []", "report_to: [mlflow]"), encoding="utf-8")
    monkeypatch.setattr("shed.tuning.tracking.find_spec", lambda name: None)
    (found,) = (one for one in findings(capsys) if "mlflow" in one["what"])
    assert "'shed-tuning[mlflow]'" in found["what"]
    assert "(tracking.report_to)" in found["what"]
    monkeypatch.setattr("shed.tuning.tracking.find_spec", lambda name: object())
    assert not [one for one in findings(capsys) if "mlflow" in one["what"]]


def test_the_environment(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other" / "dvc"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n", encoding="utf-8")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{other.parent}{os.pathsep}{os.environ['PATH']}")
    (project / "dvc.yaml").write_text("stages:\n  rate:\n    cmd: python -m stages.rate\n", encoding="utf-8")
    (other.parent / "python").write_text("#!/bin/sh\n", encoding="utf-8")
    (other.parent / "python").chmod(0o755)
    (project / ".venv" / "lib" / "python3.11" / "site-packages" / "dvc").mkdir(parents=True)
    monkeypatch.setattr(environment, "LEAST_FREE", 10**18)
    monkeypatch.setattr(environment, "version", lambda name: "2.0" if name == "dvc" else environment_version(name))
    found = {one["what"]: one["where"] for one in findings(capsys)}
    assert any(what.startswith("dvc is 2.0, and shed needs") for what in found)
    assert found[f"dvc on PATH is of another environment than this Python ({Path(sys.executable).parent})"] == str(other)
    assert found["the environment has no torch: its installation did not finish"] == str(project / ".venv")
    assert [what for what in found if what.startswith("only ")]
    assert any(what.startswith("python on PATH is of another environment") for what in found)
    assert len(found) == 5


environment_version = environment.version


def test_without_git_the_rest_is_looked_at(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    (project / "params.yaml").write_text("C: 4\n", encoding="utf-8")
    of_git, of_params = findings(capsys)
    assert "in no git repository" in of_git["what"]
    assert "missing" in of_params["what"]


def test_a_rebase_has_no_branch_until_it_ends(project: Path) -> None:
    run(project, "git", "checkout", "--quiet", "--detach", "HEAD")
    (project / ".git" / "rebase-merge").mkdir()
    assert list(experiments.find_leftovers(project)) == []


def test_outputs_that_git_would_take_up_are_found_and_ignored(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = "stages:\n  one:\n    cmd: 'true'\n    outs: [data/rows, data/kept, data/later, known: {cache: false}]\n"
    (project / "dvc.yaml").write_text(stages, encoding="utf-8")
    (project / "data/rows").mkdir(parents=True)
    for name in ("data/rows/a.jsonl", "data/kept", "known"):
        (project / name).touch()
    run(project, "git", "add", "data/kept")
    new, tracked = findings(capsys)
    assert (new["what"], new["can_be_mended"]) == ("git does not ignore what DVC keeps: data/rows", True)
    assert (tracked["what"], tracked["can_be_mended"]) == ("git holds what DVC keeps, too: data/kept", False)
    assert findings(capsys, "--fix")[0]["mended"]
    assert (project / ".gitignore").read_text(encoding="utf-8").endswith("/data/rows\n")
    run(project, "git", "rm", "--quiet", "--cached", "data/kept")
    assert [one["what"] for one in findings(capsys)] == ["git does not ignore what DVC keeps: data/kept"]
