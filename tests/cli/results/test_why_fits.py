"""`shed why` of records that were judged by how their responses fit their prompts."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from finished_project import POOL, make_project
from project_calls import call


def told(capsys: pytest.CaptureFixture[str], what: str) -> Any:
    capsys.readouterr()
    assert call("why", what, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_record_that_fits_its_prompt_badly_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_project(tmp_path, {"quality.prompt_fit": True, "sample.exclude.prompt_fit": 0.25})
    monkeypatch.chdir(tmp_path)
    low, high, cut = POOL[10], POOL[9], POOL[7]  # with fits of 2, 21 and 11 of 24
    found = told(capsys, low.id)
    assert found["prompt_fit"] == {"fit": pytest.approx(2 / 24), "lower": 2, "of": 24}
    assert found["selection"]["may_be_selected"] is False
    assert call("why", low.id) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "prompt fit 0.08; 2 of 24 records fit worse" in said
    assert (
        "Its prompt fit is below 0.25, so that it was not to be selected; a lower sample.exclude.prompt_fit lets it in" in said
    )
    assert told(capsys, high.id)["selection"]["may_be_selected"] is True
    assert told(capsys, high.id)["selection"]["selection_is_current"] is True
    assert "longer than the context" in told(capsys, cut.id)["selection"]["because"][0]


def test_fits_of_nobody_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    none = pd.DataFrame({"id": pd.Series(dtype=str), "prompt_fit": pd.Series(dtype=float)})
    none.to_parquet(tmp_path / "data/quality.parquet")
    assert "prompt_fit" not in told(capsys, POOL[9].id)
