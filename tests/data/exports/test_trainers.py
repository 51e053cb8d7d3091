"""Configs of other trainers: their own code reads them, and trains the turns that the project would."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shed.data.exports.card import CardFacts
from shed.data.exports.folder import ExportRow, export
from shed.data.exports.forms import FORMS
from shed.data.exports.trainers import TrainerSettings
from shed.data.records import Message, Record, single_turn

FACTS = CardFacts("Rows", "all", 9, {})
# the tiny model's form, with what is trained marked for TRL
TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for message in messages %}<{{ message['role'] }}>"
    "{% if 'tool_calls' in message %}{{ message['tool_calls'][0]['function'] | tojson }}{% endif %}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<end>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<end>{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def settings(model: str = "org/model", modules: list[str] | str = "all-linear") -> TrainerSettings:
    return TrainerSettings(model, 4, 8, modules, 0.001, 0.1, 2, 1, 3, 256)


def turns(*weights: float) -> Record:
    messages: list[Message] = []
    for n, weight in enumerate(weights):
        messages += [Message("user", f"question {n}"), Message("assistant", f"reply {n}", weight)]
    return Record(tuple(messages), "chat", "x")


def configs(records: list[Record], folder: Path, with_settings: TrainerSettings | None = None) -> Path:
    export([ExportRow(record) for record in records], folder, FORMS, FACTS, with_settings or settings())
    return folder / "configs"


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_trl_takes_the_form_that_holds_most_rows(tmp_path: Path) -> None:
    single, several, half = single_turn("a", "b", "s", "x"), turns(1, 1), turns(0.5, 1)
    chosen = read_json(configs([single, several, half], tmp_path / "one") / "trl_sft.json")
    assert (chosen["rows"], chosen["left_out"]) == ("messages/train.parquet", 1)
    assert (chosen["sft"]["assistant_only_loss"], chosen["sft"]["completion_only_loss"]) == (True, False)
    chosen = read_json(configs([single, turns(0, 1), several], tmp_path / "two") / "trl_sft.json")
    assert (chosen["rows"], chosen["left_out"]) == ("prompt_completion/train.parquet", 1)
    assert (chosen["sft"]["assistant_only_loss"], chosen["sft"]["completion_only_loss"]) == (False, True)


def test_axolotl_gets_no_row_with_half_a_weight(tmp_path: Path) -> None:
    import datasets

    whole = configs([turns(0, 1), turns(1, 1)], tmp_path / "one")
    assert yaml.safe_load((whole / "axolotl.yaml").read_text())["datasets"][0]["path"] == "messages/train.parquet"
    some = configs([turns(0, 1), turns(0.5, 1)], tmp_path / "two")
    (where,) = yaml.safe_load((some / "axolotl.yaml").read_text())["datasets"]
    assert (where["path"], where["message_field_training"]) == ("configs/axolotl.parquet", "weight")
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "two" / where["path"]), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [[turn.get("weight") for turn in row["messages"]] for row in rows] == [[None, 0, None, None]]
    none = configs([turns(0.5, 1)], tmp_path / "three")
    assert not (none / "axolotl.yaml").exists()


def test_settings_are_values_and_never_code(tmp_path: Path) -> None:
    name = "x\"\n'''{{}}: *a !!python/object # "
    folder = configs([single_turn("a", "b", "s", "x")], tmp_path / "evil", settings(name, [name]))
    plain = configs([single_turn("a", "b", "s", "x")], tmp_path / "plain", settings("m", ["q_proj"]))
    assert (folder / "trl_sft.py").read_bytes() == (plain / "trl_sft.py").read_bytes()
    compile((folder / "trl_sft.py").read_text(), "trl_sft.py", "exec")
    assert read_json(folder / "trl_sft.json")["model"] == name
    assert yaml.safe_load((folder / "axolotl.yaml").read_text())["lora_target_modules"] == [name]
    assert yaml.safe_load((folder / "llamafactory.yaml").read_text())["model_name_or_path"] == name


def test_all_linear_layers_are_named_as_each_trainer_names_them(tmp_path: Path) -> None:
    folder = configs([single_turn("a", "b", "s", "x")], tmp_path / "out")
    assert read_json(folder / "trl_sft.json")["lora"]["target_modules"] == "all-linear"
    axolotl = yaml.safe_load((folder / "axolotl.yaml").read_text())
    assert axolotl["lora_target_linear"] is True
    assert "lora_target_modules" not in axolotl
    assert yaml.safe_load((folder / "llamafactory.yaml").read_text())["lora_target"] == "all"


def test_the_learning_rate_rises_over_the_same_steps_everywhere(tmp_path: Path) -> None:
    records = [single_turn(f"question {n}", "b", "s", "x") for n in range(99)]
    folder = configs(records, tmp_path / "out")  # 50 steps of two rows, a tenth of them
    assert read_json(folder / "trl_sft.json")["sft"]["warmup_steps"] == 5
    for name in ("axolotl", "llamafactory"):
        assert yaml.safe_load((folder / f"{name}.yaml").read_text())["warmup_steps"] == 5


def test_llamafactory_finds_the_files_that_its_list_names(tmp_path: Path) -> None:
    folder = configs([single_turn("a", "b", "s", "x"), turns(1, 1)], tmp_path / "out")
    known = read_json(folder / "dataset_info.json")
    assert {name: entry["formatting"] for name, entry in known.items()} == {
        "shed_sharegpt": "sharegpt",
        "shed_alpaca": "alpaca",
    }
    for entry in known.values():
        row = json.loads((folder / entry["file_name"]).resolve().read_text().splitlines()[0])
        assert set(entry["columns"].values()) <= row.keys()
    assert yaml.safe_load((folder / "llamafactory.yaml").read_text())["dataset"] in known


def trl_model(tiny_model: str, folder: Path) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    AutoModelForCausalLM.from_pretrained(tiny_model).save_pretrained(folder)
    return str(folder)


def prepared(records: list[Record], tiny_model: str, folder: Path) -> tuple[list[str], list[str]]:
    """What TRL makes of our files, and the part of it that it trains, as text."""
    pytest.importorskip("trl")
    import datasets
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    model = trl_model(tiny_model, folder / "model")
    chosen = read_json(configs(records, folder / "out", settings(model)) / "trl_sft.json")
    rows = datasets.load_dataset(
        "parquet", data_files=str(folder / "out" / chosen["rows"]), split="train", cache_dir=str(folder / "cache")
    )
    args = SFTConfig(output_dir=str(folder / "trl"), bf16=False, use_cpu=True, **chosen["sft"])
    examples = list(SFTTrainer(model=model, args=args, train_dataset=rows).train_dataset)
    tokenizer = AutoTokenizer.from_pretrained(model)
    trained = [[label for label in row["labels"] if label != -100] for row in examples]
    return [tokenizer.decode(row["input_ids"]) for row in examples], [tokenizer.decode(tokens) for tokens in trained]


@pytest.mark.slow
def test_trl_trains_the_answers_and_their_end_alone(tiny_model: str, tmp_path: Path) -> None:
    _, trained = prepared([turns(1, 1), turns(1)], tiny_model, tmp_path / "messages")
    assert sorted(trained) == ["reply 0<end>", "reply 0<end>reply 1<end>"]
    _, trained = prepared([turns(0, 1), turns(1)], tiny_model, tmp_path / "prompts")
    assert sorted(trained) == ["reply 0<end>", "reply 1<end>"]


@pytest.mark.slow
def test_trl_gets_tools_and_calls_as_the_record_has_them(tiny_model: str, tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    calls = [
        json.dumps([{"type": "function", "function": {"name": "f", "arguments": own}}]) for own in ({"a": 1}, '{"b": "x"}')
    ]
    tooled = [
        Record(
            (
                Message("user", "q"),
                Message("assistant", "", 0, tool_calls=call),
                Message("tool", "3"),
                Message("assistant", "r"),
            ),
            "tools",
            "x",
            tools=json.dumps([tool]),
        )
        for call in calls
    ]
    texts, trained = prepared([*tooled, turns(0, 1)], tiny_model, tmp_path / "one")
    begin = json.dumps([tool]) + "<user>q<end><assistant>"
    assert sorted(texts) == sorted(
        [
            begin + '{"name": "f", "arguments": {"a": 1}}<end><tool>3<end><assistant>r<end>',
            begin + '{"name": "f", "arguments": {"b": "x"}}<end><tool>3<end><assistant>r<end>',
            "<user>question 0<end><assistant>reply 0<end><user>question 1<end><assistant>reply 1<end>",
        ]
    )
    assert sorted(trained) == ["r<end>", "r<end>", "reply 1<end>"]


@pytest.mark.slow
def test_the_trl_script_tunes_an_adapter(tiny_model: str, tmp_path: Path) -> None:
    spec = importlib.util.find_spec("trl")
    if spec is None or spec.origin is None:
        pytest.skip("trl is not installed")
    model = trl_model(tiny_model, tmp_path / "model")
    folder = configs([turns(1, 1), turns(1, 1), turns(0.5, 1)], tmp_path / "out", settings(model, ["q_proj"]))
    known = read_json(folder / "trl_sft.json")
    known["sft"] |= {"bf16": False, "use_cpu": True}
    (folder / "trl_sft.json").write_text(json.dumps(known))
    where = os.pathsep.join([str(Path(spec.origin).parents[1]), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, folder / "trl_sft.py", "--output", tmp_path / "adapter"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": where, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    assert "1 rows are left out" in ran.stdout
    assert read_json(tmp_path / "adapter/adapter_config.json")["target_modules"] == ["q_proj"]
