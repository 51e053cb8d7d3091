"""bergson is given the very tokens that are tuned on, so that its scores are of what the referee measures."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from shed.common.atomic_io import write_json, write_jsonl, write_text
from shed.data.records import Record
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec


@pytest.fixture
def folder(project_root: Path, tmp_path: Path, tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are, written for a prepared pool of all records and a dev of which ratings use two."""
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": tiny_model})
    for split in ("pool", "dev"):
        write_jsonl(f"data/prepared/{split}.jsonl", (record.to_row() for record in records))
    text = (project_root / "params.yaml").read_text(encoding="utf-8")
    write_text(
        "params.yaml", text.replace("packaged/smollm2-135m-instruct", tiny_model).replace("dev_rows: 100", "dev_rows: 2")
    )
    monkeypatch.setattr("sys.argv", ["bergson_inputs", "scoring"])
    runpy.run_module("experiments.bergson_inputs", run_name="__main__")
    return Path("scoring")


def rows(path: Path) -> list[dict[str, list[int]]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_tokens_are_those_of_the_tuning_and_only_those_of_responses_count(
    folder: Path, tiny_model: str, records: list[Record]
) -> None:
    encoder = load_language_model(ModelSpec(tiny_model, "plain", 512)).encoder
    pool, dev = rows(folder / "pool.jsonl"), rows(folder / "dev.jsonl")
    assert [tuple(row["input_ids"]) for row in pool] == [one.tokens for one in encoder.encode_all(records, end=True)]
    assert len(dev) == 2
    for row, record, end in (
        *((row, record, "<end>") for row, record in zip(pool, records, strict=True)),
        (dev[0], records[0], ""),
    ):
        counted = [token for token in row["labels"] if token != -100]
        assert encoder.tokenizer.decode(counted) == f" {record.response}{end}"
        assert row["input_ids"][-len(counted) :] == counted
        assert encoder.tokenizer.decode(row["input_ids"]).startswith(f"Question: {record.prompt}\nAnswer:")


def test_the_config_scores_the_pool_by_the_mean_gradient_of_dev(folder: Path, tiny_model: str) -> None:
    config: dict[str, Any] = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
    (query,), (score,) = (step.values() for step in config["steps"])
    assert query["index_cfg"]["data"] == {"dataset": "scoring/dev.jsonl"}
    assert query["preprocess_cfg"] == {"unit_normalize": True, "aggregation": "mean"}
    assert score["index_cfg"]["data"] == {"dataset": "scoring/pool.jsonl"}
    assert score["score_cfg"] == {"query_path": query["index_cfg"]["run_path"]}
    assert query["index_cfg"]["model"] == score["index_cfg"]["model"] == tiny_model
    assert query["index_cfg"]["projection_dim"] == score["index_cfg"]["projection_dim"] > 0
