"""A workflow for pull requests in a project of one's own: it is this project's, installs the project, and calls what there is."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from project_calls import call, git
from ruamel.yaml import YAML

from shed.cli.app import COMMANDS

FILE = ".github/workflows/pull-request.yml"
PROGRAM = re.compile(r"^ *(?:if |elif |else |! |\[ -z )*\"?(?:\$\()?(shed|dvc|python -m \w+) (\w+)", re.MULTILINE)


def workflow(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load((folder / FILE).read_text(encoding="utf-8"))
    return found


def steps(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow(folder)["jobs"]["compare"]["steps"]
    return found


pytestmark = pytest.mark.usefixtures("git_user")


def test_it_is_this_project_s_own_but_for_what_it_installs(
    project_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("init", "mine", "--demo", "--workflow") == 0
    assert FILE in capsys.readouterr().out
    here, mine = workflow(project_root), workflow(tmp_path / "mine")
    own = {step.get("name", step.get("uses")): step for step in here["jobs"]["compare"]["steps"]}
    for step in mine["jobs"]["compare"]["steps"]:
        name = step.get("name", step.get("uses"))
        if name == "Install":
            assert step["run"] == "python -m pip install --requirement requirements.txt"
        elif name.startswith("actions/setup-python"):
            assert step["with"] == {"python-version": own[name]["with"]["python-version"]}
        else:
            assert {**step, "run": step.get("run", "")} == {
                **own[name],
                "run": own[name].get("run", "").replace("python -m shed", "shed"),
            }
    assert [step.get("name") for step in mine["jobs"]["compare"]["steps"]] == [step.get("name") for step in own.values()]
    rest = {"name", "on", "permissions", "concurrency"}
    assert {key: mine[key] for key in rest} == {key: here[key] for key in rest}
    assert mine["jobs"]["comment"] == here["jobs"]["comment"]
    required = (tmp_path / "mine/requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in required if line.startswith("shed-tuning")]
    assert set(git(tmp_path / "mine", "ls-files").split()) >= {FILE, "requirements.txt"}


def test_it_calls_commands_that_there_are(tmp_path: Path) -> None:
    assert call("init", "mine", "--demo", "--workflow") == 0
    called = {own for step in steps(tmp_path / "mine") for own in PROGRAM.findall(step.get("run", ""))}
    assert {("shed", "comment"), ("dvc", "pull"), ("dvc", "repro"), ("dvc", "remote"), ("python -m pip", "install")} == called
    for program, command in called:
        if program == "shed":
            assert command in COMMANDS
        else:
            words = program.split()[2:] or [program]
            subprocess.run([sys.executable, "-m", *words, command, "--help"], capture_output=True, check=True)


def test_in_a_folder_of_a_repository_it_lies_at_the_top_and_works_in_the_folder(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "top")
    assert call("init", "top/below/mine", "--demo", "--workflow") == 0
    assert not (tmp_path / "top/below/mine" / FILE).exists()
    job = workflow(tmp_path / "top")["jobs"]["compare"]
    assert job["defaults"] == {"run": {"working-directory": "below/mine"}}
    kept = {step["name"]: step["with"]["path"] for step in job["steps"] if "path" in step.get("with", {})}
    assert kept == {
        "Keep the report": "below/mine/reports/index.html",
        "Keep the picture": "below/mine/gains.svg",
        "Keep the comment": "below/mine/comment.md",
    }
    (report,) = (step for step in job["steps"] if step.get("id") == "report")
    assert report["if"] == "hashFiles('below/mine/reports/index.html') != ''"
    assert FILE in git(tmp_path / "top", "diff", "--cached", "--name-only").split()


def test_a_workflow_and_requirements_that_are_there_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine/.github/workflows").mkdir(parents=True)
    (tmp_path / "mine" / FILE).write_text("mine", encoding="utf-8")
    (tmp_path / "mine/requirements.txt").write_text("mine\n", encoding="utf-8")
    assert call("init", "mine", "--demo", "--workflow") == 1
    assert f"{FILE} is there already" in capsys.readouterr().out
    assert not (tmp_path / "mine/params.yaml").exists()
    (tmp_path / "mine" / FILE).unlink()
    assert call("init", "mine", "--demo", "--workflow") == 0
    assert (tmp_path / "mine/requirements.txt").read_text(encoding="utf-8") == "mine\n"
