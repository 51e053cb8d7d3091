"""The final tuning learns the responses and leaves an adapter that says what it is and loads anywhere."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from shed.common.errors import ShedError
from shed.tuning.finetuning import IGNORED, TuningSettings, _collate, _example, finetune
from shed.models.loading import load_model, load_tokenizer
from shed.models.encoding import encode
from shed.data.records import Record

SETTINGS = TuningSettings(
    r=4, alpha=8, modules=["q_proj", "down_proj"], lr=0.05, warmup_ratio=0.1, batch_size=4, epochs=4, seed=1
)


def test_the_loss_falls_and_the_adapter_loads(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    tuned = finetune(records, tiny_model, "plain", 200, SETTINGS, tmp_path / "adapter", "all of them")
    assert tuned.metrics["steps"] == 12
    assert tuned.losses["loss"].tail(3).mean() < 0.5 * tuned.losses["loss"].head(3).mean()
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    }
    assert "all of them" in (tmp_path / "adapter" / "README.md").read_text()
    one = encode(records[0], load_tokenizer(tiny_model), "plain", 200, end=True)
    loaded = PeftModel.from_pretrained(load_model(tiny_model), tmp_path / "adapter")
    with torch.no_grad():
        logits = loaded(torch.tensor([one.tokens])).logits[0, one.prompt_length - 1 : -1]
    assert (
        torch.nn.functional.cross_entropy(logits, torch.tensor(one.tokens[one.prompt_length :])) < tuned.losses["loss"].iloc[0]
    )


def test_two_runs_write_the_same_bytes_and_name_no_path(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    for name in ("one", "two"):
        finetune(records, tiny_model, "plain", 200, dataclasses.replace(SETTINGS, epochs=1), tmp_path / name, "x")
    for file in ("adapter_config.json", "adapter_model.safetensors", "README.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    saved = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    assert saved["base_model_name_or_path"] == tiny_model  # the name as in params
    assert saved["target_modules"] == ["down_proj", "q_proj"]


def test_the_number_of_cores_changes_nothing_but_rounding(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {}
    for cores in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda cores=cores: cores)
        monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
        settings = dataclasses.replace(SETTINGS, epochs=1, lr=0.01)
        losses[cores] = finetune(records, tiny_model, "plain", 200, settings, tmp_path / "adapter", "x").losses["loss"]
    assert losses[3].tolist() == pytest.approx(losses[1].tolist(), abs=1e-3)


def test_only_response_tokens_carry_loss(tiny_model: str, records: list[Record]) -> None:
    tokenizer = load_tokenizer(tiny_model)
    encoded = [encode(record, tokenizer, "plain", 200, end=True) for record in records[:3]]
    batch = _collate([_example(one) for one in encoded], pad=0)
    for row, one in enumerate(encoded):
        labels = batch["labels"][row]
        assert tuple(labels[labels != IGNORED].tolist()) == one.tokens[one.prompt_length :]
        assert batch["attention_mask"][row].sum() == len(one.tokens)


def test_a_failure_leaves_the_previous_adapter_as_it_was(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    finetune(records, tiny_model, "plain", 200, dataclasses.replace(SETTINGS, epochs=1), tmp_path / "adapter", "x")
    before = {path.name: path.read_bytes() for path in (tmp_path / "adapter").iterdir()}
    with pytest.raises(ShedError, match="lower finetune.lr"):
        finetune(records, tiny_model, "plain", 200, dataclasses.replace(SETTINGS, lr=1e38), tmp_path / "adapter", "x")
    with pytest.raises(ShedError, match=r"finetune\.modules: the model has no layers named w_proj"):
        finetune(
            records, tiny_model, "plain", 200, dataclasses.replace(SETTINGS, modules=["w_proj"]), tmp_path / "adapter", "x"
        )
    assert {path.name: path.read_bytes() for path in (tmp_path / "adapter").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
