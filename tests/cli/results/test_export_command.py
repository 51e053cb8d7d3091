"""`shed export`: the selected rows in one more form, and nobody else's file is overwritten."""

import json
from pathlib import Path

import pandas as pd
import pytest
from finished_project import POOL, make_project
from project_calls import call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path / "project", {"export.forms": ["messages"]})
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def rows_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_selection_in_another_form(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = (project / "params.yaml").read_text()
    assert call("export", "alpaca", "--to", "mine.jsonl") == 0
    assert "6 rows of the form alpaca: mine.jsonl" in capsys.readouterr().out
    selection = pd.read_parquet(project / "data/selection.parquet")
    rows = {row["id"]: row for row in rows_of(project / "mine.jsonl")}
    assert set(rows) == set(selection["id"])
    by_id = {record.id: record for record in POOL}
    assert all(row["instruction"] == by_id[id].prompt and row["output"] == by_id[id].response for id, row in rows.items())
    assert rows[selection["id"][0]]["reason"] == selection["reason"][0]
    assert (project / "params.yaml").read_text() == params
    assert call("export", "alpaca", "--to", "mine.parquet", "--json") == 0
    assert set(pd.read_parquet(project / "mine.parquet")["id"]) == set(rows)


def test_the_stage_s_own_file_is_the_default_where_it_has_the_form(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", "messages") == 0
    assert len(rows_of(project / "data/export/messages/train.jsonl")) == 6
    assert call("export", "messages") == 0
    assert call("export", "sharegpt") == 1
    assert "export.forms in params.yaml does not name it" in capsys.readouterr().out
    assert [path.name for path in (project / "data/export").iterdir()] == ["messages"]


def test_a_file_of_somebody_else_stays(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = project / "mine.jsonl"
    mine.write_text("dear\n")
    assert call("export", "alpaca", "--to", "mine.jsonl") == 1
    assert "`shed export` did not write it as it is" in capsys.readouterr().out
    assert mine.read_text() == "dear\n"
    assert call("export", "alpaca", "--to", "mine.jsonl", "--force") == 0
    assert call("export", "sharegpt", "--to", "mine.jsonl") == 0  # its own
    mine.write_text(mine.read_text() + "{}\n")
    assert call("export", "alpaca", "--to", "mine.jsonl") == 1  # changed since


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alpaca", "--to", "mine.csv"], "must end with .jsonl or .parquet"),
        (["given", "--to", "mine.jsonl"], "the form given can hold none of the 6 rows: it was read from no row of the user's"),
    ],
)
def test_what_cannot_be_written(project: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", *words) == 1
    assert said in capsys.readouterr().out
    assert not list(project.glob("mine*"))


def test_there_is_nothing_to_export_before_a_selection(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data/selection.parquet").unlink()
    assert call("export", "alpaca", "--to", "mine.jsonl") == 1
    assert "data/selection.parquet is not there yet" in capsys.readouterr().out
