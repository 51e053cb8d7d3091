"""What a run will cost, told beforehand: the stages' own counts afterwards are near it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_project import Project

from shed.common.errors import ShedError
from shed.data.records import read_records
from shed.models.checks import check_model
from shed.params import load_params
from stages.shared.model import model_spec
from stages.shared.outlook import Lengths, check_sizes, lengths_of, token_passes, told

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


def test_times_are_told_by_stage_and_in_all(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    params = load_params()
    line = told(params, {"rate": 120_000.0, "score": 3_600.0, "finetune": 5e6, "evaluate": 5e8}, seconds=0.002)
    assert line == (
        "on this machine (2 ms a token) the stages take about: "
        "rate 4 minutes, score a minute, finetune 3 hours, evaluate 12 days; 12 days in all"
    )


@pytest.mark.parametrize(
    ("changes", "pool", "said"),
    [
        ({"C": 6}, 5, "the pool has 5 records, and C is 6; lower C, or give more records"),
        ({"sample": {"rows": 7, "fraction": None}}, 6, "7 rows are to be kept, but the pool has 6"),
        ({"sample": {"rows": None, "fraction": 0.01}}, 6, "a fraction of 0.01 of 6 rows gives no row"),
    ],
)
def test_a_pool_that_is_too_small_for_a_later_stage_is_refused_before_any_is_paid_for(
    project_root: Path, changes: dict[str, Any], pool: int, said: str
) -> None:
    params = load_params(project_root / "params.yaml")
    sample = params.sample.model_copy(update=changes.get("sample", {}))
    params = params.model_copy(update={"C": changes.get("C", 6), "sample": sample})
    with pytest.raises(ShedError, match=said):
        check_sizes(params, pool)
    check_sizes(params, 200)


def test_where_nothing_is_rated_no_time_is_told_for_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    params = load_params()
    off = params.model_copy(update={"rate": params.rate.model_copy(update={"warm_rows": 0})})
    splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in SPLITS}
    assert "rate" not in token_passes(off, splits, dict.fromkeys(SPLITS, Lengths(10.0, 20.0, 15.0, 30)))
