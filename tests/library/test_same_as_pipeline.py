"""The same rows and settings give the same numbers in a notebook as in the pipeline."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from shed import Selector
from shed.common.atomic_io import read_json, write_json, write_jsonl, write_table
from shed.data.records import read_records
from shed.library.settings import DEFAULTS, changed
from shed.models.loading import manifest
from shed.params import Params, load_params
from stages import cluster, embed, fetch, lengths, prepare, quality, rate, sample, score, verdict

STAGES = (fetch, prepare, lengths, embed, quality, cluster, rate, score, sample, verdict)
Rows = list[dict[str, Any]]
TOOL = {"type": "function", "function": {"name": "look", "description": "look", "parameters": {"type": "object"}}}


@pytest.fixture
def params(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A folder with the rows as files and a params file, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stages.shared.games.LEDGER", tmp_path / "pipeline/ledger.sqlite")
    monkeypatch.setattr("stages.shared.runs.RUNS", tmp_path / "pipeline/runs")
    pool.append({**pool[0], "instruction": "which tool?", "tools": [TOOL], "id": "tool"})  # which the plain form cannot hold
    asked = "where is the key of the old mill by the port"
    pool.extend(
        {"instruction": asked, "output": f"in the {place}", "source": "places", "id": place} for place in ("hall", "yard")
    )
    for name, rows in {"pool": pool, "dev": dev, "test": test}.items():
        write_jsonl(f"{name}.jsonl", rows)
    files = {name: f"{name}.jsonl" for name in ("pool", "dev", "test")} | {"pool_rows": 20, "dev_rows": None}
    files |= {"near_duplicates": 0.8}
    whole = changed(load_params(DEFAULTS), [small, {"data": files, "sampler": "qocs", "score.by": "ratings"}])
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(whole.model_dump(), file)
    return load_params("params.yaml")


def as_written(metrics: dict[str, Any], path: Path) -> Any:
    write_json(path, metrics)
    return read_json(path)


def test_each_verb_gives_the_numbers_of_its_stage(
    params: Params, pool: Rows, dev: Rows, test: Rows, runs: list[Any], tmp_path: Path
) -> None:
    for stage in STAGES:
        stage.run(params)
    ours = Selector(pool, dev, test, params="params.yaml", folder="ours")
    for split in ("pool", "dev", "test"):
        theirs = read_records(f"data/prepared/{split}.jsonl")
        assert [record.id for record in getattr(ours.prepared, split)] == [record.id for record in theirs]

    with Path("data/prepared/rejects.jsonl").open() as file:
        aside = [(row["split"], row["reason"], row["origin"].split("line ")[1]) for row in map(json.loads, file)]
    assert [(one.split, one.reason, str(one.row + 1)) for one in ours.rejects.itertuples()] == aside
    assert {reason.split()[0] for _, reason, _ in aside} == {"near_duplicate", "unfit:", "not_drawn"}

    ratings, clusters, scores = ours.rate(), ours.cluster(), ours.score()
    pd.testing.assert_frame_equal(ratings.table[["id", "rating"]], pd.read_parquet("data/ratings.parquet"))
    theirs = pd.read_parquet("data/clusters.parquet")
    pd.testing.assert_frame_equal(clusters.table[theirs.columns.tolist()], theirs)
    np.testing.assert_array_equal(clusters.embeddings, np.load("data/embeddings.npy"))
    assert as_written(clusters.metrics, tmp_path / "metrics.json") == read_json("metrics/cluster.json")
    theirs = pd.read_parquet("data/scores.parquet")
    pd.testing.assert_frame_equal(scores.table, theirs, check_dtype=False)
    assert scores.table["score"].nunique() == 4

    selection = ours.select()
    theirs = pd.read_parquet("data/selection.parquet")
    pd.testing.assert_frame_equal(selection.table[theirs.columns.tolist()], theirs, check_dtype=False)
    written = read_json("metrics/sample.json")
    found = as_written(selection.metrics, tmp_path / "metrics.json")
    assert found == {key: written[key] for key in found}
    with Path("data/selection.jsonl").open() as file:
        given = [json.loads(line)["given"] for line in file]
    assert [json.loads(row) for row in given] == selection.rows

    paid = list(runs)
    judged = ours.verdict(selection)
    assert as_written(judged.metrics, tmp_path / "metrics.json") == read_json("metrics/verdict.json")
    assert runs[len(paid) :] == paid  # the same runs, in a folder of their own
    evaluations = evaluated("pipeline")
    theirs = Selector(pool, dev, test, params="params.yaml", folder="pipeline")
    theirs.verdict(selection)
    theirs.score()
    assert len(runs) == 2 * len(paid)  # what the pipeline paid for is found where its folder is named
    assert evaluated("pipeline") == evaluations == evaluated("ours") != []


def evaluated(folder: str) -> list[tuple[str, str]]:
    """The game and the coalition of each evaluation in a ledger."""
    with sqlite3.connect(Path(folder, "ledger.sqlite")) as connection:
        return sorted(connection.execute("SELECT game, coalition FROM evaluations"))


VARIANTS: dict[str, dict[str, Any]] = {
    "the best, by tokens": {"sampler": "top", "sample": {"budget": "tokens", "tokens": 60, "rows": None}, "rate.per": "token"},
    "with rows that are cut": {"sampler": "top", "sample": {"too_long": True}},
    "without records that fit badly": {
        "sampler": "top", "quality": {"prompt_fit": True}, "sample": {"exclude": {"prompt_fit": 0.75}}
    },
    "a floor for each source": {"sampler": "qwcs", "sample": {"balance": "source", "floor": 1.0, "f": 3.0, "seed": 5}},
    "a floor for each length": {"sampler": "top", "sample": {"balance": "length", "floor": 1.0}},
    "the best rated of clusters that are drawn": {"sampler": "qwcs", "sample": {"within": "rating", "f": 3.0}},
    "a floor for each cluster": {"sampler": "random", "sample": {"balance": "cluster", "floor": 0.7}},
    "given, and the whole pool": {
        "sampler": "given", "sample": {"given": "theirs.txt"}, "verdict": {"full": True, "seeds": 4}, "finetune.seed": 8
    },
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_a_selection_and_its_verdict_are_those_of_the_stages(
    name: str, params: Params, pool: Rows, dev: Rows, test: Rows, runs: list[Any], tmp_path: Path
) -> None:
    Path("theirs.txt").write_text("".join(f"{row['id']}\n" for row in reversed(pool)))
    asked = changed(params, [{"data.pool_rows": None, "model.max_tokens": 48}, VARIANTS[name]])
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(asked.model_dump(), file)
    ours = Selector(pool, dev, test, params="params.yaml")
    for split in ("pool", "dev", "test"):
        write_jsonl(f"data/prepared/{split}.jsonl", (record.to_row() for record in getattr(ours.prepared, split)))
    assert 0 < ours._inputs.lengths["too_long"].sum() < 12
    write_table("data/prepared/faults.csv", pd.DataFrame(columns=["id", "fault"]))
    write_table("data/lengths.parquet", ours._inputs.lengths)
    write_table("data/ratings.parquet", ours.rate().table[["id", "rating"]])
    write_table("data/clusters.parquet", ours.cluster().table)
    write_table("data/scores.parquet", ours.score().table)
    write_json("data/model.json", ours._inputs.manifest)
    write_json("data/embedder.json", manifest(asked.embed.model, "embedder") | {"name": asked.embed.model})
    quality.run(asked)
    sample.run(asked)
    verdict.run(asked)
    selection, theirs = ours.select(), pd.read_parquet("data/selection.parquet")
    pd.testing.assert_frame_equal(selection.table[theirs.columns.tolist()], theirs, check_dtype=False)
    left_out = [f"left_out_{why}" for why in ("as_too_long", "by_prompt_fit")]
    assert [selection.metrics[name] for name in left_out] == [read_json("metrics/sample.json")[name] for name in left_out]
    assert (selection.metrics[left_out[1]] > 0) == asked.quality.prompt_fit
    if asked.quality.prompt_fit:
        fits = ours.prompt_fit().table.set_index("id").loc[pd.read_parquet("data/quality.parquet")["id"], "prompt_fit"]
        np.testing.assert_array_equal(fits, pd.read_parquet("data/quality.parquet")["prompt_fit"])
    paid = list(runs)
    found = as_written(ours.verdict(selection).metrics, tmp_path / "metrics.json")
    assert found == read_json("metrics/verdict.json")
    assert runs[len(paid) :] == paid


def a_task(folder: Path, name: str, rows: Rows) -> str:
    """A task of lm-eval in a file, whose train and test splits are these rows and one more each."""
    files = {}
    for split in ("train", "test"):
        own = [*rows, {"instruction": f"where is the {split}", "output": "in the yard"}]
        write_jsonl(folder / f"{name}-{split}.jsonl", own)
        files[split] = str(folder / f"{name}-{split}.jsonl")
    config: dict[str, Any] = {"task": name, "dataset_path": "json", "output_type": "generate_until"}
    config |= {"dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")}}
    config |= {"training_split": "train", "test_split": "test", "doc_to_target": "output"}
    config |= {"doc_to_text": "Question: {{instruction}}\nAnswer:"}
    with (folder / f"{name}.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(config, file)
    return f"lm_eval:{name}.yaml"


@pytest.mark.parametrize("combine", ["mean", "worst"])
def test_tasks_as_dev_and_test_are_those_of_the_stages(combine: str, params: Params, pool: Rows, dev: Rows) -> None:
    named = a_task(
        Path.cwd(), "keys", [{"instruction": f"where is the key to mill {n}", "output": "in the mill"} for n in range(3)]
    )
    aside = [{"instruction": f"where is key {n} of the shop", "output": "in the shop"} for n in range(5)]
    write_jsonl("aside.jsonl", aside)
    weights = {"sums": 1.0 if combine == "worst" else 3.0, "keys": 1.0, "aside": 0.0}
    sources: dict[str, tuple[str, Any]] = {"sums": ("dev.jsonl", dev), "keys": (named, named), "aside": ("aside.jsonl", aside)}
    of_files, of_rows = ({name: {"from": own[n], "weight": weights[name]} for name, own in sources.items()} for n in (0, 1))
    data = {"dev": of_files, "dev_combine": combine, "test": named, "dev_rows": 9, "pool_rows": None}
    asked = changed(params, [{"data": data, "rate.dev_rows": 6, "score.dev_rows": 7, "score.by": "shapley"}])
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(asked.model_dump(by_alias=True), file)
    for stage in STAGES[:-2]:
        stage.run(asked)
    ours = Selector(pool, of_rows, named, params="params.yaml", folder="ours")
    for split in ("pool", "dev", "test"):
        theirs = read_records(f"data/prepared/{split}.jsonl")
        found = [(record.id, record.source) for record in getattr(ours.prepared, split)]
        assert found == [(record.id, record.source) for record in theirs]
    pd.testing.assert_frame_equal(ours.rate().table[["id", "rating"]], pd.read_parquet("data/ratings.parquet"))
    pd.testing.assert_frame_equal(ours.score().table, pd.read_parquet("data/scores.parquet"), check_dtype=False)
    assert ours._inputs.notes[:2] == [
        f"{named}, split {split}: 4 rows of the form question_answer" for split in ("train", "test")
    ]
