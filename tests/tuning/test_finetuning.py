"""The final tuning learns the responses and leaves an adapter that says what it is and loads anywhere."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import TrainingArguments

from shed.common.errors import ShedError
from shed.data.records import Message, Record
from shed.models.loading import load_language_model, load_model
from shed.models.specs import LoraSettings, ModelSpec
from shed.tuning.finetuning import (
    IGNORED,
    TuningResult,
    TuningSettings,
    _example,
    _on_one_device,
    _padded,
    _ResponseTrainer,
    finetune,
)

SETTINGS = TuningSettings(
    lora=LoraSettings(r=4, alpha=8, modules=["q_proj", "down_proj"]), lr=0.05, warmup_ratio=0.1, batch_size=4, epochs=4, seed=1
)


def tuned_on(records: list[Record], model: str, settings: TuningSettings, adapter: Path, about: str = "x") -> TuningResult:
    return finetune(records, ModelSpec(model, "plain", 200), settings, adapter, about)


def test_the_loss_falls_and_the_adapter_loads(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    tuned = tuned_on(records, tiny_model, SETTINGS, tmp_path / "adapter", "all of them")
    assert tuned.metrics["steps"] == 12
    assert tuned.losses["loss"].tail(3).mean() < 0.5 * tuned.losses["loss"].head(3).mean()
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    }
    assert "all of them" in (tmp_path / "adapter" / "README.md").read_text()
    one = load_language_model(ModelSpec(tiny_model, "plain", 200)).encoder.encode(records[0], end=True)
    loaded = PeftModel.from_pretrained(load_model(tiny_model), tmp_path / "adapter")
    with torch.no_grad():
        logits = loaded(torch.tensor([one.tokens])).logits[0, one.prompt_length - 1 : -1]
    assert (
        torch.nn.functional.cross_entropy(logits, torch.tensor(one.tokens[one.prompt_length :])) < tuned.losses["loss"].iloc[0]
    )


def test_two_runs_write_the_same_bytes_and_name_no_path(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    for name in ("one", "two"):
        tuned_on(records, tiny_model, dataclasses.replace(SETTINGS, epochs=1), tmp_path / name)
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
        losses[cores] = tuned_on(records, tiny_model, settings, tmp_path / "adapter").losses["loss"]
    assert losses[3].tolist() == pytest.approx(losses[1].tolist(), abs=1e-3)


def test_only_response_tokens_carry_loss(tiny_model: str, records: list[Record]) -> None:
    encoder = load_language_model(ModelSpec(tiny_model, "plain", 200)).encoder
    encoded = encoder.encode_all(records[:3], end=True)
    batch = _padded([_example(one) for one in encoded])
    for row, one in enumerate(encoded):
        labels = batch["labels"][row]
        assert tuple(labels[labels != IGNORED].tolist()) == one.tokens[one.prompt_length :]
        assert batch["attention_mask"][row].sum() == len(one.tokens)
        assert tuple(batch["input_ids"][row, : len(one.tokens)].tolist()) == one.tokens  # padding is on the right


def test_long_rows_go_through_the_model_in_parts_with_the_same_losses(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {}
    for most in (10_000, 50):
        monkeypatch.setattr("shed.tuning.finetuning.PART_TOKENS", most)
        settings = dataclasses.replace(SETTINGS, epochs=1, lr=0.01)
        losses[most] = tuned_on(records, tiny_model, settings, tmp_path / "adapter").losses["loss"]
    assert losses[50].tolist() == pytest.approx(losses[10_000].tolist(), abs=1e-4)


def test_a_batch_that_a_device_cannot_hold_is_halved_with_the_same_losses(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, whole = dataclasses.replace(SETTINGS, epochs=1, lr=0.01), _ResponseTrainer.compute_loss
    expected = tuned_on(records, tiny_model, settings, tmp_path / "adapter").losses["loss"]
    refused = []

    def for_two(trainer: _ResponseTrainer, model: Any, inputs: dict[str, torch.Tensor], **more: Any) -> torch.Tensor:
        if len(inputs["input_ids"]) > 1:
            refused.append(1)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(trainer, model, inputs, **more)

    monkeypatch.setattr(_ResponseTrainer, "compute_loss", for_two)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    found = tuned_on(records, tiny_model, settings, tmp_path / "adapter").losses["loss"]
    assert refused
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_machine_with_several_gpus_does_not_multiply_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingArguments, "device", property(lambda own: torch.device("cuda", 0)))
    monkeypatch.setattr(TrainingArguments, "_n_gpu", 4, raising=False)
    arguments = _on_one_device(output_dir=str(tmp_path), per_device_train_batch_size=8, use_cpu=True)
    assert arguments._n_gpu == 1
    assert arguments.train_batch_size == 8


def test_a_turn_counts_as_much_as_its_weight(tiny_model: str, tmp_path: Path) -> None:
    def conversation(weight: float) -> Record:
        turns = (Message("user", "2+2?"), Message("assistant", "5", weight), Message("user", "3+3?"), Message("assistant", "6"))
        return Record(turns, "s", "o")

    own = load_language_model(ModelSpec(tiny_model, "plain", 200))
    one = own.encoder.encode(conversation(0.25), end=True)
    with torch.no_grad():
        logits = own.model(torch.tensor([one.tokens])).logits[0]
    nats = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(one.tokens[1:]), reduction="none")
    early, late = (nats[span.start - 1 : span.end - 1] for span in one.spans)
    for weight in (0.0, 0.25, 1.0):
        settings = dataclasses.replace(SETTINGS, epochs=1)
        first = tuned_on([conversation(weight)], tiny_model, settings, tmp_path / "adapter").losses["loss"][0]
        expected = (weight * early.sum() + late.sum()) / (weight * len(early) + len(late))
        assert first == pytest.approx(float(expected), rel=1e-4)


def test_a_failure_leaves_the_previous_adapter_as_it_was(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    tuned_on(records, tiny_model, dataclasses.replace(SETTINGS, epochs=1), tmp_path / "adapter")
    before = {path.name: path.read_bytes() for path in (tmp_path / "adapter").iterdir()}
    with pytest.raises(ShedError, match=r"the loss is not finite from step \d+ on; lower the learning rate") as error:
        tuned_on(records, tiny_model, dataclasses.replace(SETTINGS, lr=1e38), tmp_path / "adapter")
    assert error.value.setting == "learning rate"
    elsewhere = dataclasses.replace(SETTINGS.lora, modules=["w_proj"])
    with pytest.raises(ShedError, match="the model has no linear layers named w_proj") as error:
        tuned_on(records, tiny_model, dataclasses.replace(SETTINGS, lora=elsewhere), tmp_path / "adapter")
    assert error.value.setting == "LoRA modules"
    assert {path.name: path.read_bytes() for path in (tmp_path / "adapter").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
