"""Two revisions side by side: verdict, metrics, params and rows, as git and DVC have them."""

import json
from pathlib import Path

import pytest
from project_calls import call
from result_projects import run, set_sampler, without_dvc


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return without_dvc(tmp_path_factory.mktemp("compared") / "project")


@pytest.fixture(autouse=True)
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def test_the_verdict_stands_first_and_then_what_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "top", "qwcs") == 0
    out = capsys.readouterr().out
    first, second = (line for line in out.splitlines() if "On test" in line)
    assert first.startswith("top (")
    assert "by 0.50 nats" in first
    assert "by 0.25 nats" in second
    assert "+0.500 [+0.375, +0.625]" in out
    assert "+0.250" in out  # the tuned model's loss
    assert "accuracy" not in out  # it is the same
    assert "Of the selection's rows 1 stayed, 7 came in, 7 went out." in out
    assert "Came in: id08 of sums, qwcs 8: What is 8 and 8?" in out
    assert "id12 of" in out
    assert "id13 of" not in out
    assert "Came in: 2 more" in out


def test_json_has_every_change_with_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "top", "qwcs", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["params"] == {"sampler": ["top", "qwcs"]}
    assert found["metrics"]["tuned.test_loss"] == [4.5, 4.75]
    assert "tuned.test_accuracy" not in found["metrics"]
    assert found["rows"]["stayed"] == 1
    assert [row["id"] for row in found["rows"]["came"]] == [f"id{n:02}" for n in range(8, 15)]
    assert [row["id"] for row in found["rows"]["went"]] == [f"id{n:02}" for n in range(7)]


def test_without_a_second_one_the_workspace_is_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_sampler(project, "full")
    try:
        assert call("compare", "qwcs", "--json") == 0
        found = json.loads(capsys.readouterr().out)
    finally:
        set_sampler(project, "qwcs")
    assert found["params"] == {"sampler": ["qwcs", "full"]}
    assert found["metrics"] == {}
    assert (found["rows"]["came"], found["rows"]["went"]) == ([], [])


def test_an_experiment_of_dvc_has_a_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "git", "update-ref", "refs/exps/ab/cdef/cosy-crow", "qwcs")
    assert call("compare", "top", "cosy-crow", "--json") == 0
    assert json.loads(capsys.readouterr().out)["params"] == {"sampler": ["top", "qwcs"]}
    run(project, "git", "update-ref", "refs/exps/ab/0123/cosy-crow", "top")
    assert call("compare", "top", "cosy-crow") == 1
    assert "2 experiments are called cosy-crow" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", "--output=x", "*"])
def test_a_revision_that_does_not_exist_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "--", name) == 1
    assert f"git and DVC know no revision {name!r}" in capsys.readouterr().out


def test_rows_that_nobody_pushed_are_said_to_be_missing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "git", "rm", "--quiet", "--cached", "data/selection.parquet")
    run(project, "git", "commit", "--quiet", "--message", "no selection")
    run(project, "git", "tag", "barer")
    locked = {"stages": {"sample": {"cmd": "none", "outs": [{"path": "data/selection.parquet", "md5": "0" * 32}]}}}
    (project / "dvc.lock").write_text(json.dumps(locked), encoding="utf-8")
    run(project, "git", "add", "dvc.lock")
    run(project, "git", "commit", "--quiet", "--message", "a selection that is elsewhere")
    run(project, "git", "tag", "bare")
    run(project, "git", "reset", "--quiet", "qwcs")
    assert call("compare", "top", "bare") == 0
    out = capsys.readouterr().out
    assert "by 0.25 nats" in out
    assert "Rows of the selection cannot be compared: data/selection.parquet of bare" in out
    assert "dvc fetch --all-commits" in out
    assert call("compare", "top", "barer") == 0
    assert "data/selection.parquet was never made in barer" in capsys.readouterr().out


def test_a_folder_that_git_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_text("{}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert call("compare", "main") == 1
    assert "is in no git repository" in capsys.readouterr().out
