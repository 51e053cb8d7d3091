"""Four ways to select by ratings, for rows and for response tokens: what each takes, and what its controls are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import lengths
from shed.common.atomic_io import write_json, write_jsonl, write_table
from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.evaluation import run_ledger
from shed.params import Params, load_params

POOL = [single_turn(f"question {n}", "word " * (n + 1), "web", f"row {n}") for n in range(20)]
TOKENS = np.arange(1, 21)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rows of each run that is made; a run's loss is 3 less a hundredth for each of its response tokens."""
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": "packaged/smollm2-135m-instruct"})
    write_jsonl("data/prepared/pool.jsonl", (record.to_row() for record in POOL))
    write_jsonl("data/prepared/dev.jsonl", (record.to_row() for record in POOL[:8]))
    ids = [record.id for record in POOL]
    write_table("data/lengths.parquet", pd.DataFrame({"id": ids, "tokens": 99, "response_tokens": TOKENS, "too_long": False}))
    write_table("data/ratings.parquet", pd.DataFrame({"id": ids, "rating": np.sqrt(TOKENS)}))  # per token: the shortest
    found: list[list[str]] = []

    def finetune(rows: Sequence[Record], *about: Any) -> None:
        found.append([record.id for record in rows])

    def evaluate(_: Any, adapter: Path | None, splits: Mapping[str, Sequence[Record]], *about: Any) -> pd.DataFrame:
        tokens = sum(int(TOKENS[ids.index(id)]) for id in found[-1])
        items = [("dev_web", record.id, 1.0, 3 - tokens / 100, 1.0, 1.0) for record in splits["dev"]]
        return pd.DataFrame(items, columns=["task", "id", "correct", "nats", "tokens", "choice_nats"])

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    return found


def params_of(project_root: Path, dev_rows: int) -> Params:
    params = load_params(project_root / "params.yaml")
    return params.model_copy(update={"rate": params.rate.model_copy(update={"dev_rows": dev_rows})})


def test_ratings_per_record_take_the_longest_and_per_token_the_shortest(project_root: Path, runs: list[list[str]]) -> None:
    found = lengths.study(params_of(project_root, 3))
    ways = found["ways"]
    assert {way: (own["rows"], own["response_tokens"]) for way, own in ways.items()} == {
        "rows, per record": (2, 39),
        "rows, per token": (2, 3),
        "tokens, per record": (1, 20),
        "tokens, per token": (6, 21),
    }
    assert (found["rows"], found["dev_items"], found["seeds"]) == (20, 5, 3)  # what ratings used is not measured
    assert found["rating_with_length"] == pytest.approx(1)
    assert (
        ways["rows, per record"]["gains"]["random_rows"]["gain"] > 0 > ways["rows, per token"]["gains"]["random_rows"]["gain"]
    )
    for own in ways.values():
        assert own["gains"]["random_tokens"]["gain"] == pytest.approx(0, abs=0.11)  # half of the longest row
    assert len(runs) < 4 * 3 * 3  # controls are shared


def test_without_a_share_of_the_pool_or_without_ratings_nothing_is_measured(project_root: Path, runs: list[list[str]]) -> None:
    params = params_of(project_root, 3)
    for section, changes in (("sample", {"fraction": None, "rows": 5}), ("rate", {"warm_rows": 0, "dev_rows": 3})):
        with pytest.raises(ShedError, match=r"set rate.warm_rows and sample.fraction"):
            lengths.study(params.model_copy(update={section: getattr(params, section).model_copy(update=changes)}))
    assert runs == []


def test_without_dev_records_that_no_rating_used_nothing_is_measured(project_root: Path, runs: list[list[str]]) -> None:
    with pytest.raises(ShedError, match=r"ratings used all 8 records of dev; set rate.dev_rows to fewer"):
        lengths.study(params_of(project_root, 8))
    assert runs == []
