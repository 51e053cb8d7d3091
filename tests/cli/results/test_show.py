"""`shed show`: the result of a finished run, of one that stopped half-way, and of none."""

import json
from pathlib import Path
from typing import get_args

import pytest
from finished_project import MARKUP, make_project, set_params
from project_calls import call

from shed.cli.results.show import CONTROLS, MEASURES
from shed.evaluation.comparison import MEASURES as ALL_MEASURES
from shed.evaluation.verdict import Control


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_verdict_comes_first_and_every_part_has_its_numbers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("show") == 0
    said = capsys.readouterr().out
    assert said.startswith("On test, the selection is better than random rows of the same number by 0.50")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "all tasks +0.50 [0.40, 0.60] +0.050 [-0.050, 0.150]" in lines
    assert "seas +0.50 [0.40, 0.60] none" in lines
    assert "test accuracy 0.250 0.375 +0.125 ± 0.062" in lines
    assert "6 of 24 records were selected; longer than the context, and so left out: 1" in lines
    assert "talk 8 33.3% 1 16.7%" in lines
    assert "1 1 +0.4 ± 0.02 6 2 What is 21 and 21? Say it in words." in lines
    assert "of Shapley scores 0.88 [0.50, 0.94] in the scoring regime (12 coalitions); of ratings 0.25" in " ".join(lines)
    assert not [line for line in said.splitlines() if line != line.rstrip()]


def test_tables_fit_a_terminal_of_80_columns(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = json.loads((project / "metrics/verdict.json").read_text())
    wide = {"gain": -0.1234, "low": -0.2345, "high": -0.0123}
    measures = dict.fromkeys(MEASURES, wide)
    verdict["random_rows"]["test"] = {"all": measures, "a_task_with_a_long_name_of_its_own": measures, "b": measures}
    (project / "metrics/verdict.json").write_text(json.dumps(verdict))
    monkeypatch.setattr("shed.cli.terminal.UNWRAPPED", 80)
    assert call("show", "--examples", "2") == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_fits_are_shown_by_source_where_they_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_project(tmp_path, {"quality.prompt_fit": True, "sample.exclude.prompt_fit": 0.25})
    monkeypatch.chdir(tmp_path)
    assert call("show", "--json") == 0
    found = json.loads(capsys.readouterr().out)["selection"]
    assert (found["left_out_as_too_long"], found["left_out_by_prompt_fit"]) == (1, 6)
    assert {name: own["prompt_fit_median"] for name, own in found["sources"].items()} == {"sums": 0.5, "talk": 0.4375}
    assert call("show") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    said = " ".join(lines)
    assert "longer than the context, and so left out: 1; below the prompt fit that is asked for, and so left out: 6" in said
    assert "source in the pool share selected share median fit" in lines
    assert any(line.startswith("talk 8 33.3%") and line.endswith(" 0.44") for line in lines)


def test_json_has_what_is_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("show", "--json", "--clusters", "2", "--examples", "0") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"]["of_another_selection"] is False
    assert told["selection"]["sources"]["talk"]["selection"] == 1
    assert [row["rank"] for row in told["clusters"]["rows"]] == [1, 2]
    assert sum(row["selected"] for row in told["clusters"]["rows"]) <= told["selection"]["rows"] == 6
    assert told["missing"] == {}


def test_text_of_a_record_neither_marks_up_nor_moves_the_cursor(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("show", "--examples", "6") == 0
    said = capsys.readouterr().out
    assert "[bold red]this[/] a \\x1b[31mtrap\\u202e?" in said
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\x1b" in MARKUP


def test_a_run_that_stopped_half_way_tells_what_is_missing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "metrics/verdict.json").unlink()
    (project / "data/scores.parquet").unlink()
    assert call("show") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(
        "There: change, selection, lengths, fidelity. Not there yet: verdict, clusters (data/scores.parquet,"
    )
    assert "6 of 24 records were selected" in said


def test_a_verdict_on_another_selection_is_not_taken_for_this_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = json.loads((project / "metrics/sample.json").read_text())
    sample["lengths"]["response_tokens"] += 1
    (project / "metrics/sample.json").write_text(json.dumps(sample))
    assert call("show") == 0
    assert "This verdict is of an earlier selection" in capsys.readouterr().out


def test_a_verdict_that_is_turned_off_and_a_fidelity_of_few_coalitions(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "metrics/verdict.json").write_text('{"sentence": "not tested, since verdict.seeds is 0.", "seeds": 0}')
    few = {"scoring": {"shapley": {"lds": 0.5, "lds_low": None, "lds_high": None}, "rating": {"lds": None}}}
    (project / "metrics/fidelity.json").write_text(json.dumps(few))
    assert call("show") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("Whether the selection is better than random rows: not tested, since verdict.seeds is 0.")
    assert (
        "of Shapley scores 0.50 [too few coalitions for an interval] in the scoring regime; of ratings unknown in the" in said
    )


def test_of_a_run_that_has_only_begun_it_says_which_stages_have_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its data are prepared, and nothing that is shown is there yet."""
    (tmp_path / "params.yaml").touch()
    stages = "stages:\n  prepare:\n    outs: [pool: {cache: false}]\n  embed:\n    deps: [pool]\n    outs: [vectors]\n"
    (tmp_path / "dvc.yaml").write_text(stages, encoding="utf-8")
    (tmp_path / "pool").touch()
    monkeypatch.chdir(tmp_path)
    assert call("show") == 1
    assert "has no results yet; of its stages prepare has run: `shed run` goes on" in capsys.readouterr().out


def test_how_many_questions_a_measure_rests_on_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_task = {"items": 7, "accuracy": 0.5, "loss": 1.0}
    tasks = {
        "test_seas": of_task,
        "test_hills": {**of_task, "generation": 0.5, "written": 3},
        "dev_sea": {"items": 2, "loss": 1.0},
    }
    (project / "metrics/tasks.json").write_text(json.dumps({"tuned": tasks}))
    assert call("show") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "test accuracy 0.250 0.375 +0.125 ± 0.062 14" in lines
    assert "over 3 seeds, on 14 questions." in " ".join(lines)
    assert call("show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["items"]["test_generation"] == 3


@pytest.mark.parametrize(("sampler", "told"), [("top", True), ("qocs", False)])
def test_scores_that_select_nothing_are_said_to(
    sampler: str, told: bool, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(project, {"sampler": sampler})
    assert call("show") == 0
    assert (f"The sampler {sampler} takes no account of these scores" in capsys.readouterr().out) is told


def test_nothing_at_all_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert call("show") == 1
    said = capsys.readouterr().out
    assert "nothing has run yet; `shed check` and `shed plan` look ahead, `shed run` runs all" in said
    assert "goes on" not in said


def test_every_control_and_measure_of_a_verdict_is_shown() -> None:
    assert list(MEASURES) == list(ALL_MEASURES)
    assert set(CONTROLS) == set(get_args(Control))


def test_what_is_noted_of_scores_stands_below_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "metrics/score.json"
    score = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(score | {"score_is": "Shapley score", "notes": "errors are [overstated]"}), encoding="utf-8")
    assert call("show") == 0
    assert "Note on these scores: errors are [overstated]." in capsys.readouterr().out
