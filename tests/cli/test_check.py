"""Checking before paying: what a project's data holds, and what of it would stop the pipeline."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from project_calls import call, write_rows
from ruamel.yaml import YAML


@pytest.fixture
def project(tmp_path: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Of sixty rows, with dev and test of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for n, split in enumerate(("pool", "dev", "test")):
        write_rows(tmp_path / "mine" / f"{split}.jsonl", 60, 1_000 * n)
    data = [word for split in ("pool", "dev", "test") for word in (f"--{split}", f"mine/{split}.jsonl")]
    assert call("init", "mine", *data, "--model", tiny_model) == 0
    monkeypatch.chdir(tmp_path / "mine")
    capsys.readouterr()
    return tmp_path / "mine"


def change(project: Path, section: str, **values: Any) -> None:
    yaml, path = YAML(), project / "params.yaml"
    params = yaml.load(path.read_text(encoding="utf-8"))
    (params[section] if section else params).update(values)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git" not in path.parts}


def test_good_data_passes_and_nothing_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(project)
    assert call("check", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert {split: found["card"][split]["kept"] for split in ("pool", "dev", "test")} == {"pool": 60, "dev": 60, "test": 60}
    assert found["card"]["pool"]["forms"] == {"alpaca": 60}
    assert found["lengths"]["rows"] == 60
    assert files(project) == before
    assert "DVC_ROOT" not in os.environ


def test_what_is_set_aside_is_told_with_its_place(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = (project / "pool.jsonl").read_text(encoding="utf-8").splitlines()
    of_test = (project / "test.jsonl").read_text(encoding="utf-8").splitlines()
    (project / "pool.jsonl").write_text("\n".join([*rows, rows[0], of_test[0], "no JSON"]) + "\n", encoding="utf-8")
    assert call("check") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "pool: set aside, exact_duplicate: 1 rows, the first is pool.jsonl, line 61" in said
    assert "pool: set aside, in_test: 1 rows, the first is pool.jsonl, line 62" in said
    assert "not valid JSON: 1 rows, the first is pool.jsonl, line 63" in said
    assert "0 errors" in said


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("", {"C": 100}, "C is 100"),
        ("data", {"pool": "nowhere.jsonl"}, "data.pool: nowhere.jsonl: no such file"),
        ("regime", {"modules": ["qq_proj"]}, "regime.modules"),
        ("sample", {"fraction": 2.0}, "sample.fraction"),
        ("model", {"name": "no/such-folder"}, "model.name"),
    ],
)
def test_what_would_stop_the_pipeline_is_an_error(
    section: str,
    values: dict[str, Any],
    said: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    change(project, section, **values)
    assert call("check", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert said in found["errors"][0]


def test_too_many_unreadable_rows_are_an_error_that_names_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (project / "pool.jsonl").open("a", encoding="utf-8") as file:
        file.write("no JSON\n" * 30)
    assert call("check") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "the first is pool.jsonl, line 61" in said
    assert "1 error" in said
