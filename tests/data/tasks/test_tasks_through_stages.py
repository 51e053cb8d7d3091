"""Several dev tasks through the stages that read them: files, a task of lm-eval, shares for the stages that measure."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from ruamel.yaml import YAML

from shed.common.atomic_io import read_json, write_json
from shed.common.errors import ShedError
from shed.data.records import read_records
from shed.params import load_params
from stages import KEYS, fetch, naming_keys, prepare, rate
from stages.shared.games import scoring_game
from stages.shared.settings.dev_tasks import dev_tasks


def write(path: Path, *rows: dict[str, object]) -> None:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.fixture
def folder(project_root: Path, tmp_path: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a tiny model, whose dev records are of a file and of a task that lm-eval reads from a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    write(tmp_path / "pool.jsonl", *({"prompt": f"pool {n}?", "response": "x"} for n in range(40)))
    write(tmp_path / "test.jsonl", {"prompt": "test?", "response": "x"})
    write(
        tmp_path / "chat.jsonl",
        *({"prompt": f"chat {n}?", "response": "x"} for n in range(9)),
        {"prompt": "pool 1?", "response": "x"},
    )
    for split in ("train", "test"):
        write(tmp_path / f"sums-{split}.jsonl", *({"q": f"{split} {n}?", "a": str(n)} for n in (2, 3)))
    data = {"data_files": {split: f"sums-{split}.jsonl" for split in ("train", "test")}, "cache_dir": str(tmp_path / "cache")}
    config = {"task": "sums", "dataset_path": "json", "dataset_kwargs": data, "output_type": "generate_until"}
    config |= {"training_split": "train", "test_split": "test", "doc_to_text": "Question: {{q}}\nAnswer:", "doc_to_target": "a"}
    (tmp_path / "sums.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    editor = YAML()
    params = editor.load((project_root / "params.yaml").read_text(encoding="utf-8"))
    tasks = {"maths": {"from": "lm_eval:sums.yaml", "weight": 3}, "chat": {"from": "chat.jsonl", "weight": 1}}
    params["data"] |= {"pool": "pool.jsonl", "dev": tasks, "test": "test.jsonl", "pool_rows": None, "dev_rows": None}
    params["model"] |= {"name": tiny_model, "max_tokens": 100}
    editor.dump(params, tmp_path / "params.yaml")
    monkeypatch.setattr(prepare, "check_embedder", lambda *_: None)
    monkeypatch.setattr(fetch, "_keep", lambda path, name, _: write_json(path, {"name": name}))
    return tmp_path


def test_dev_records_have_their_task_and_the_tasks_their_shares(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch.run(load_params())
    assert set(read_json("data/inputs.json")["dev"]) == {
        "lm_eval:sums.yaml",
        "sums.yaml",
        "sums-train.jsonl",
        "sums-test.jsonl",
        "chat.jsonl",
    }
    prepare.run(load_params())
    dev = read_records("data/prepared/dev.jsonl")
    assert {record.prompt for record in dev if record.source == "maths"} == {"train 2?", "train 3?"}  # not of the test split
    assert [record.source for record in dev].index("maths") < 4  # each beginning has both
    assert read_json("data/prepared/dev_tasks.json") == {"maths": 0.75, "chat": 0.25}
    card = read_json("metrics/data.json")
    assert card["dev"]["weights"] == {"maths": 0.75, "chat": 0.25}
    assert card["dev"]["kept_by_source"] == {"chat": 10, "maths": 2}
    assert card["pool"]["rejected_by_reason"] == {"in_dev": 1}
    said = capsys.readouterr().err
    assert "shed: lm_eval:sums.yaml, split train: 2 rows of the form question_answer" in said


def test_that_the_worst_task_counts_reaches_the_stages_that_measure(folder: Path) -> None:
    path = folder / "params.yaml"
    text = path.read_text(encoding="utf-8").replace("dev_combine: mean", "dev_combine: worst")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ShedError, match=r"data.dev_combine is worst: the worst of the dev tasks maths, chat .* theirs differ"):
        load_params()
    path.write_text(text.replace("weight: 3", "weight: 1"), encoding="utf-8")
    fetch.run(load_params())
    prepare.run(load_params())
    assert dev_tasks() == ({"maths": 0.5, "chat": 0.5}, "worst")
    assert read_json("metrics/data.json")["dev"]["combine"] == "worst"
    rate.run(load_params())
    found = read_json("metrics/rate.json")
    assert found["combine"] == "worst"
    assert found["least_maths"] + found["least_chat"] == found["rated"]
    places = np.arange(found["rated"])
    clusters = pd.DataFrame({"cluster": places % 2, "proxy": places < 2})
    with scoring_game(load_params(), clusters) as game:
        assert game.play.value(np.zeros((1, 2), dtype=bool)).tolist() == [0.0]  # a gain over the untuned model
    path.write_text(text.replace("weight: 3", "weight: 1").replace("dev_combine: worst", "dev_combine: mean"), encoding="utf-8")
    prepare.run(load_params())
    assert dev_tasks() == ({"maths": 0.5, "chat": 0.5}, "mean")


def test_a_single_dev_set_has_no_tasks(folder: Path) -> None:
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    start, end = text.index("  dev:"), text.index("  test:")
    (folder / "params.yaml").write_text(f"{text[:start]}  dev: chat.jsonl\n{text[end:]}", encoding="utf-8")
    fetch.run(load_params())
    prepare.run(load_params())
    assert read_json("data/prepared/dev_tasks.json") == {}
    assert dev_tasks() == ({}, "mean")
    text = (folder / "params.yaml").read_text(encoding="utf-8").replace("dev_combine: mean", "dev_combine: worst")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ShedError, match=r"data.dev_combine is worst: .* but dev is not made of named tasks"):
        load_params()
    assert {record.source for record in read_records("data/prepared/dev.jsonl")} == {"chat"}


def test_a_dev_task_all_of_whose_records_are_set_aside_is_one_line(folder: Path) -> None:
    write(folder / "chat.jsonl", {"prompt": "", "response": "x"})
    params = load_params()
    params = params.model_copy(update={"data": params.data.model_copy(update={"max_rejects": 1.0})})
    fetch.run(params)
    with (
        pytest.raises(
            ShedError, match=r"^the dev task chat \(chat\.jsonl\) has no usable record.*\(data\.dev in params\.yaml\)$"
        ),
        naming_keys(KEYS),
    ):
        prepare.run(params)


def test_test_records_and_a_named_task_of_the_same_name_are_refused(folder: Path) -> None:
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("test: test.jsonl", "test: lm_eval:sums.yaml").replace("tasks: []", "tasks: [sums.yaml]")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    fetch.run(load_params())
    with pytest.raises(ShedError, match=r"are both called sums; .*\(evaluate\.tasks in params\.yaml\)$"), naming_keys(KEYS):
        prepare.run(load_params())
    (folder / "params.yaml").write_text(text.replace("tasks: [sums.yaml]", "tasks: []"), encoding="utf-8")
    prepare.run(load_params())
    assert {record.prompt for record in read_records("data/prepared/test.jsonl")} == {"test 2?", "test 3?"}
