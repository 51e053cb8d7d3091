"""The text of a pull request's comment: numbers, params, rows as examples that are never markup, and whether it is current."""

import json
import re
from pathlib import Path

import pytest
from project_calls import call
from result_projects import run, without_dvc

from shed.cli.sharing.texts import as_code, as_prose


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return without_dvc(tmp_path_factory.mktemp("commented") / "project")


@pytest.fixture(autouse=True)
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def test_a_comment_says_what_changed_and_draws_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("comment", "top", "--svg", str(tmp_path / "gains.svg")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "<!-- shed comment -->"
    assert lines[3].startswith("**This branch:** On test, the selection is better")
    assert "by 0.25 nats" in lines[3]
    assert "by 0.50 nats" in lines[5]
    assert "| gain over random rows: loss | +0.500 [+0.375, +0.625] | +0.250 [+0.125, +0.375] |  |" in lines
    assert "| test loss of the tuned model | 4.500 | 4.750 | +0.250 |" in lines
    assert "| response tokens selected | 40 | 47 | +7 |" in lines
    assert "| <code>sampler</code> | <code>top</code> | <code>qwcs</code> |" in lines
    assert not [line for line in lines if "accuracy" in line]  # it is the same
    assert "Of the selection's rows **1 stayed, 7 came in, 7 went out**." in lines
    assert "<details><summary>Rows that went out: the first 5 of 7</summary>" in lines
    assert len([line for line in lines if line.startswith("- ")]) == 10
    assert lines[-1] == "`dvc.lock` is of this code and these params."
    picture = (tmp_path / "gains.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg ")
    assert "this branch: random rows" in picture
    assert "top: random rows" in picture


def test_what_a_record_says_is_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Record id01 has a mention, an address, a code span, a cell's end and a tag."""
    assert call("comment", "top") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "id01" in line]
    assert "Is &#96;a&#124;b&#96; &#60;b&#62;bold" in line
    of_shed = re.sub(r"&#\d+;", "", line.replace("<code>", "").replace("</code>", ""))
    assert not set(of_shed.removeprefix("- ")) & set("`|<>@#*_[]()!~$/\\")
    assert line.count("<code>") == line.count("</code>") == 4


@pytest.mark.parametrize(
    "text", ["a@b", "</code><script>", "a\n\n# title", "\x1b[31mred", "x\u202egnp.exe", "$1$ :tada: #1 GH-1"]
)
def test_text_is_a_single_span_of_code(text: str) -> None:
    code = as_code(text, 100)
    inner = code.removeprefix("<code>").removesuffix("</code>")
    assert re.fullmatch(r"(?:\w| |&#\d+;)*", inner)
    assert not {chr(int(number)) for number in re.findall(r"&#(\d+);", inner)} & {"\x1b", "\u202e", "\n"}


def test_a_sentence_keeps_its_numbers_and_nothing_else_acts() -> None:
    assert as_prose("Better by 0.56 nats [0.44, 0.67].") == "Better by 0.56 nats [0.44, 0.67]."
    said = as_prose("on @octocat_1 [x](https://example.org) <b> it is worse by 1.5.")
    assert "@" not in said
    assert "&#64;\u2060octocat" in said  # the joiner keeps GitHub from finding a name
    assert not set(re.sub(r"&#\d+;", "", said)) & set("<>()_*`/:")


def test_a_table_of_nothing_is_not_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("comment", "qwcs") == 0
    out = capsys.readouterr().out
    assert "|" not in out
    assert "No param changed." in out
    assert "The selection has the same 8 rows." in out


def test_a_lock_that_is_not_current_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline, metrics = project / "dvc.yaml", project / "metrics" / "tuned.json"
    before = metrics.read_text(encoding="utf-8")
    pipeline.write_text("stages:\n  sample: {cmd: python make.py sample, outs: [new.txt]}\n", encoding="utf-8")
    metrics.write_text('{"test_loss": 1.0}', encoding="utf-8")
    try:
        assert call("comment", "top") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[-3].startswith("**`dvc.lock` is not current**")
        assert "What changed: <code>sample</code>." in lines[-3]
        assert "not committed" in lines[-1]
        assert call("comment", "top", "--json") == 0
        assert json.loads(capsys.readouterr().out)["lock"]["changed_stages"] == ["sample"]
        (project / "dvc.lock").write_text("<<<<<<< ours\n=======\n>>>>>>> theirs\n", encoding="utf-8")
        assert call("comment", "top") == 0
        assert "marks of a merge" in capsys.readouterr().out
    finally:
        pipeline.write_text("stages: {}\n", encoding="utf-8")
        metrics.write_text(before, encoding="utf-8")
        (project / "dvc.lock").unlink(missing_ok=True)


def test_a_base_that_has_no_results(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "git", "switch", "--quiet", "--orphan", "empty")
    (project / "params.yaml").write_text("C: 4\n", encoding="utf-8")
    run(project, "git", "add", "params.yaml")
    run(project, "git", "commit", "--quiet", "--message", "nothing")
    run(project, "git", "switch", "--quiet", "main")
    assert call("comment", "empty") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[5].endswith("There is no verdict.")
    assert "| gain over random rows: loss | – | +0.250 [+0.125, +0.375] |" in lines
    assert any("Rows of the selection cannot be compared" in line for line in lines)
