"""What a run will cost, told beforehand: the stages' own counts and times afterwards are near it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_project import Project

from shed.data.records import Record, read_records
from shed.models.checks import check_model
from shed.params import load_params
from shed.settings.costs.outlook import AN_ANSWER, STEP, Lengths, Work, lengths_of, token_passes
from shed.settings.costs.times import START, RunsLeft, all_runs, seconds_of
from shed.valuation.costs.speed import Speed
from stages.shared.settings.model import model_spec
from stages.shared.times import told

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
    answers, step = 2 * 2 * 3, STEP + 2 * AN_ANSWER  # of dev and test, of two sources each
    assert evaluation(free, 3) - evaluation(free, 0) == answers * 10 + answers / 2 * 7 * step
    assert evaluation(free, None) - evaluation(free, 0) == 2 * 2 * 5 * (10 + 7 * step / 2)


def test_where_nothing_is_rated_no_time_is_told_for_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    params = load_params()
    off = params.model_copy(update={"rate": params.rate.model_copy(update={"warm_rows": 0})})
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in SPLITS}
    assert "rate" not in token_passes(off, splits, dict.fromkeys(SPLITS, Lengths(10.0, 4.0, 15.0, 30)))


MEASURED = {  # seconds of the packaged pipeline's stages in one run on two idle cores that multiply in bfloat16
    "rate": 170,
    "score": 105,
    "fidelity": 159,
    "finetune": 41,
    "evaluate_base": 21,
    "evaluate": 21,
    "verdict": 399,
}
PASSES = {"rate": 163_564, "score": 53_967, "fidelity": 108_429, "finetune": 23_677, "evaluate": 36_058}


def test_of_the_packaged_pipeline_each_stage_comes_within_a_fifth(project_root: Path) -> None:
    params = load_params(project_root / "params.yaml")
    work: Any = SimpleNamespace(
        params=params, passes=PASSES, passes_that_read=2 * 2000 * 29.6, passes_of_whole_pool=10 * PASSES["finetune"]
    )
    speed = Speed([0.00093], [0.00118], [0.00093], [0.00118], 0, 0, 0, 0, 0)
    everything = all_runs(params)
    assert everything == RunsLeft(8)
    times = seconds_of(work, speed, everything)
    assert times == {name: pytest.approx(seconds, rel=0.2) for name, seconds in MEASURED.items()}
    alone = seconds_of(work, speed, RunsLeft(9))["verdict"]
    assert alone > times["verdict"], "the run of the final tuning is the verdict's to make"
    done = RunsLeft(0, final=False)
    assert seconds_of(work, speed, done) | {"verdict": 0, "evaluate": 0} == times | {
        "verdict": 0,
        "evaluate": 0,
    }
    assert seconds_of(work, speed, done)["verdict"] == START


def test_a_selection_of_all_rows_has_no_verdict_to_pay_for(project_root: Path) -> None:
    params = load_params(project_root / "params.yaml")
    assert all_runs(params.model_copy(update={"sampler": "full"})) == RunsLeft(0)
    full = params.verdict.model_copy(update={"full": True, "seeds": 5})
    assert all_runs(params.model_copy(update={"verdict": full})) == RunsLeft(14, full=5)


def test_times_are_told_by_stage_and_in_all() -> None:
    assert told({"rate": 240.0, "score": 7.0, "finetune": 10_000.0, "evaluate": 1e6}) == (
        "on this machine the stages take about: "
        "rate 4 minutes, score a minute, finetune 3 hours, evaluate 12 days; 12 days in all"
    )


def test_more_points_of_the_warm_start_are_told_as_they_cost(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    params = load_params()
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in SPLITS}
    lengths = dict.fromkeys(SPLITS, Lengths(10.0, 4.0, 15.0, 30))

    def work(method: str) -> Work:
        return Work(params.model_copy(update={"rate": params.rate.model_copy(update={"method": method})}), splits, lengths)

    epochs, steps, dev = params.regime.epochs, params.regime.epochs * 2, 4 * 15  # 8 rows in batches of 4; options are measured
    warm, at_epochs, along = (work(method) for method in ("warm", "checkpoints", "in_run"))
    assert at_epochs.passes_that_read == epochs * warm.passes_that_read == epochs * along.passes_that_read
    more = at_epochs.passes["rate"] - warm.passes["rate"]
    assert more == (epochs - 1) * warm.passes_that_read + 2 * (epochs - 1) * dev
    assert along.passes["rate"] - warm.passes["rate"] == (2 * steps - 1) * dev
