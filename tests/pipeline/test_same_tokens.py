"""What is tuned is what is measured: all paths read the same tokens of a record, and their losses are of those tokens."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_tokenizers
import torch
from tiny_tokenizers import KINDS, Kind

from shed.data.records import Message, Record, single_turn
from shed.engine.coalition_trainer import load_trainer
from shed.engine.regime import Regime
from shed.evaluation.lm_evaluation import evaluate
from shed.evaluation.packed_lm import PackedLM
from shed.evaluation.summaries import summarise
from shed.models.loading import load_language_model
from shed.models.specs import Form, LoraSettings, ModelSpec
from shed.selection.model_signals import read
from shed.tuning import finetuning
from shed.tuning.finetuning import TuningSettings, finetune

LORA = LoraSettings(2, 4, ["q_proj"])
REGIME = Regime(LORA, "sgd", 0.1, 0.0, 4, 1, "constant", 0.0, 1)
FREE_TEXT = [
    single_turn("What is the capital of Norway?", "Oslo", "s", "o"),
    single_turn("List two lands.", "- Norway\n- Peru\n\nThese are two.", "s", "o"),
    Record(
        (
            Message("user", "2 + 2?"),
            Message("assistant", "4", 0.5),
            Message("user", "Spell </s>"),
            Message("assistant", "</s>"),
        ),
        "s",
        "o",
    ),
    single_turn("Write a list.", "[1, 2]", "s", "o"),
    single_turn("\n\nWhich? " * 30, "It is number one. " * 40, "s", "o"),  # is cut
]
QUESTIONS = [
    single_turn(f"Which is it, {n}?", right, "q", "o", ("yes", "no, not at all"), answer)
    for n, (right, answer) in enumerate([("yes", 0), ("no, not at all", 1), ("yes", 0)])
]


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    kind: Kind = request.param
    return tiny_tokenizers.save(kind, tmp_path_factory.mktemp(kind))


@pytest.mark.parametrize("form", ["plain", "chat"])
def test_all_paths_read_the_same_tokens(folder: str, form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec(folder, form, 160)
    encoder = load_language_model(spec).encoder
    tuned = encoder.encode_all(FREE_TEXT, end=True)
    measured = encoder.encode_all(FREE_TEXT, end=False)

    trainer = load_trainer(spec, FREE_TEXT, FREE_TEXT, "dev_loss", REGIME, FREE_TEXT)
    assert [one.tokens for one in trainer.members] == [one.tokens for one in tuned]
    assert trainer.losses.response_tokens(range(5)) == trainer.losses.response_tokens(range(5, 10))  # candidates are rated

    batches: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(finetuning, "_padded", kept(finetuning._padded, batches))
    settings = TuningSettings(LORA, 1e-9, 0.0, len(FREE_TEXT), 1, 1)
    result = finetune(FREE_TEXT, spec, settings, tmp_path / "adapter", "all")
    rows = {
        tuple(ids[mask == 1].tolist()) for b in batches for ids, mask in zip(b["input_ids"], b["attention_mask"], strict=True)
    }
    assert rows == {one.tokens for one in tuned}
    assert result.metrics["response_tokens"] == sum(one.response_length for one in tuned)

    scored: list[Any] = []
    monkeypatch.setattr(PackedLM, "_score_all", kept_argument(PackedLM._score_all, scored))
    items = evaluate(spec, None, {"test": FREE_TEXT}, None, 2, [])
    assert [one.tokens for one in scored[0]] == [one.tokens for one in measured]
    assert items["tokens"].tolist() == [one.response_weight for one in measured]

    expected = naive_loss(folder, form, FREE_TEXT)
    (utility,) = trainer.utilities(np.zeros((1, len(FREE_TEXT))))
    assert -utility == pytest.approx(expected, rel=1e-4)
    assert summarise(items)["test_s"]["loss"] == pytest.approx(expected, rel=1e-4)
    losses = np.average(read(FREE_TEXT, spec).loss, weights=[one.response_weight for one in measured])
    assert losses == pytest.approx(expected, rel=1e-4)
    assert result.losses["loss"][0] == pytest.approx(naive_loss(folder, form, FREE_TEXT, end=True), rel=1e-4)


@pytest.mark.parametrize("form", ["plain", "chat"])
def test_options_are_scored_as_utilities_score_them_and_counted_in_tokens_of_the_right_one(folder: str, form: Form) -> None:
    spec = ModelSpec(folder, form, 160)
    items = evaluate(spec, None, {"dev": QUESTIONS}, None, 4, [])
    (entropy,) = load_trainer(spec, QUESTIONS, QUESTIONS, "choice_loss", REGIME).utilities(np.zeros((1, 3)))
    assert items["choice_nats"].mean() == pytest.approx(-entropy, rel=1e-4)
    (accuracy,) = load_trainer(spec, QUESTIONS, QUESTIONS, "accuracy", REGIME).utilities(np.zeros((1, 3)))
    assert items["correct"].mean() == pytest.approx(accuracy)
    (loss,) = load_trainer(spec, QUESTIONS, QUESTIONS, "dev_loss", REGIME).utilities(np.zeros((1, 3)))
    assert items["nats"].sum() / items["tokens"].sum() == pytest.approx(-loss, rel=1e-4)
    free = [replace(record, choices=(), answer=None) for record in QUESTIONS]
    assert items["nats"].tolist() == pytest.approx(evaluate(spec, None, {"dev": free}, None, 4, [])["nats"].tolist(), rel=1e-4)


def naive_loss(folder: str, form: Form, records: list[Record], *, end: bool = False) -> float:
    """Nats a token over the records' trained tokens, one record at a time, by transformers' own forward pass."""
    own = load_language_model(ModelSpec(folder, form, 160))
    total, tokens = 0.0, 0.0
    for one in own.encoder.encode_all(records, end=end):
        with torch.no_grad():
            logits = own.model(torch.tensor([one.tokens])).logits[0].double()
        nats = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(one.tokens[1:]), reduction="none")
        for span in one.spans:
            total += span.weight * float(nats[span.start - 1 : span.end - 1].sum())
            tokens += span.weight * (span.end - span.start)
    return total / tokens


def kept(function: Any, results: list[Any]) -> Any:
    def keeping(*args: Any) -> Any:
        results.append(function(*args))
        return results[-1]

    return keeping


def kept_argument(function: Any, arguments: list[Any]) -> Any:
    def keeping(self: Any, argument: Any) -> Any:
        arguments.append(argument)
        return function(self, argument)

    return keeping
