"""What a run will cost, told beforehand: the stages' own counts afterwards are near it."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_project import Project

from shed.data.records import Record, read_records
from shed.models.checks import check_model
from shed.params import load_params
from stages.shared.outlook import STEP, Lengths, lengths_of, token_passes, told
from stages.shared.settings.model import model_spec

SPLITS = ("pool", "dev", "test")


def test_token_passes_told_beforehand_are_those_that_stages_count(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    params = load_params()
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in SPLITS}
    encoder = check_model(model_spec(params))
    lengths = {split: lengths_of(encoder, records) for split, records in splits.items()}
    passes = token_passes(params, splits, lengths)
    assert passes["rate"] == pytest.approx(project.json("metrics/rate.json")["token_passes"], rel=0.15)
    selected = project.json("metrics/finetune.json")["tokens"]
    assert passes["finetune"] == pytest.approx(2 * params.finetune.epochs * selected, rel=0.5)  # 6 of 60 rows
    long = lengths | {"pool": replace(lengths["pool"], longest=512)}
    assert token_passes(params, splits, long)["finetune"] == passes["finetune"] * 3 / 2


def test_answers_that_are_written_are_counted_and_cost_nothing_where_all_records_have_options(
    project_root: Path, records: list[Record]
) -> None:
    params = load_params(project_root / "params.yaml")

    def evaluation(of: list[Record], limit: int | None) -> float:
        written = params.evaluate.written.model_copy(update={"limit": limit, "max_new_tokens": 7})
        changed = params.evaluate.model_copy(update={"limit": 5, "batch_size": 2, "written": written})
        lengths = dict.fromkeys(SPLITS, Lengths(10.0, 4.0, 15.0, 30))
        return token_passes(params.model_copy(update={"evaluate": changed}), dict.fromkeys(SPLITS, of), lengths)["evaluate"] / 2

    assert evaluation(records, None) == evaluation(records, 0)
    free = [replace(one, choices=(), answer=None, source="ab"[n % 2]) for n, one in enumerate(records)]
    answers = 2 * 2 * 3  # of dev and test, of two sources each
    assert evaluation(free, 3) - evaluation(free, 0) == answers * 10 + answers / 2 * 7 * STEP
    assert evaluation(free, None) - evaluation(free, 0) == 2 * 2 * 5 * (10 + 7 * STEP / 2)


def test_times_are_told_by_stage_and_in_all(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    params = load_params()
    line = told(params, {"rate": 120_000.0, "score": 3_600.0, "finetune": 5e6, "evaluate": 5e8}, seconds=0.002)
    assert line == (
        "on this machine (2 ms a token) the stages take about: "
        "rate 4 minutes, score a minute, finetune 3 hours, evaluate 12 days; 12 days in all"
    )


def test_where_nothing_is_rated_no_time_is_told_for_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    params = load_params()
    off = params.model_copy(update={"rate": params.rate.model_copy(update={"warm_rows": 0})})
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in SPLITS}
    assert "rate" not in token_passes(off, splits, dict.fromkeys(SPLITS, Lengths(10.0, 4.0, 15.0, 30)))
