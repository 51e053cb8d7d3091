"""`shed report`: where the page is, whether it is that of these metrics, and a browser."""

import json
from pathlib import Path

import pytest
from finished_project import make_project
from project_calls import call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path)
    sentence = json.loads((tmp_path / "metrics/verdict.json").read_text())["sentence"]
    spans = [
        f'<span data-metric="metrics/verdict.json#sentence" data-form="s">{sentence}</span>',
        '<span data-metric="metrics/tuned.json#test_loss" data-form="z.2f">4.50</span>',
        '<span data-metric="metrics/gone.json#x" data-form="z.2f">1.00</span>',
    ]
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/index.html").write_text("\n".join(spans), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_path_is_all_that_is_said_of_a_current_report(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report") == 0
    assert capsys.readouterr().out == "reports/index.html\n"


def test_a_report_of_earlier_metrics_says_which(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "metrics/tuned.json").write_text('{"test_loss": 4.25}')
    assert call("report") == 0
    said = capsys.readouterr().out
    assert "it shows other numbers than metrics/tuned.json" in said
    assert "verdict" not in said


@pytest.mark.parametrize("can", [True, False])
def test_it_opens_in_a_browser_or_says_that_there_is_none(
    project: Path, can: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def open_(address: str) -> bool:
        opened.append(address)
        return can

    monkeypatch.setattr("webbrowser.open", open_)
    assert call("report", "--open") == 0
    assert opened == [(project / "reports/index.html").as_uri()]
    assert ("No browser can be opened here" in capsys.readouterr().out) == (not can)


def test_no_report_is_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "reports/index.html").unlink()
    assert call("report") == 1
    assert "reports/index.html is not there yet" in capsys.readouterr().out
