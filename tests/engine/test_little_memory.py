"""A device with little memory: batches are halved until they fit, fewer coalitions go together, and no number changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_regime import regime
from torch import Tensor

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.engine import coalition_trainer
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.gradients import dev_gradient, metagradient
from shed.engine.lora_losses import LoraLosses
from shed.engine.utility import dev_set
from shed.evaluation.lm_evaluation import evaluate
from shed.evaluation.packed_lm import PackedLM
from shed.models.encoding import Encoder
from shed.models.loading import load_model, load_tokenizer
from shed.models.specs import ModelSpec
from shed.valuation.rating.rater import losses

REGIME = regime(epochs=1)
WEIGHTS = np.array([np.ones(8), [0, 0, 0, 0, 1, 1, 1, 1]])


def trainer(tiny_model: str, records: list[Record]) -> CoalitionTrainer:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    dev = dev_set("dev_loss", records[8:], encoder)
    return CoalitionTrainer(load_model(tiny_model), encoder.encode_all(records[:8], end=True), dev, REGIME)


class SmallDevice:
    """A device that has memory for so many texts at once, as torch tells it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.refused = 0
        inner: Callable[..., Tensor] = LoraLosses._losses

        def losses(own: LoraLosses, weights: Tensor, texts: list[Any], coalitions: np.ndarray, lower: Tensor) -> Tensor:
            if len(texts) > most:
                self.refused += 1
                raise torch.OutOfMemoryError("CUDA out of memory")
            return inner(own, weights, texts, coalitions, lower)

        monkeypatch.setattr(LoraLosses, "_losses", losses)


def all_numbers(one: CoalitionTrainer) -> list[np.ndarray]:
    values, uphill = dev_gradient(one, one.initial.expand(2, -1))
    utilities, marginals = metagradient(one, WEIGHTS)
    return [values, uphill.numpy(), one.utilities(WEIGHTS), utilities, marginals, losses(one, one.initial[None], one.members)]


def test_batches_are_halved_until_they_fit_and_no_number_changes(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = all_numbers(trainer(tiny_model, records))
    small, one = SmallDevice(monkeypatch, most=1), trainer(tiny_model, records)
    before = one.losses.cores.chunk_tokens
    found = all_numbers(one)
    assert small.refused > 0
    assert one.losses.cores.chunk_tokens < before
    for before_, after in zip(expected, found, strict=True):
        np.testing.assert_allclose(after, before_, rtol=0, atol=2e-4 * np.abs(before_).max())


def test_later_batches_are_small_from_the_start(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, one = SmallDevice(monkeypatch, most=1), trainer(tiny_model, records)
    counts = []
    for _ in range(8):
        losses(one, one.initial[None], one.members)
        counts.append(small.refused)
        small.refused = 0
    assert counts[0] > 0
    assert counts[-1] == 0


def test_a_record_that_does_not_fit_alone_is_one_line(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    SmallDevice(monkeypatch, most=0)
    one = trainer(tiny_model, records)
    with pytest.raises(ShedError, match="not enough memory for a single record; lower the context length") as error:
        losses(one, one.initial[None], one.members)
    assert error.value.setting == "context length"


def test_as_many_coalitions_go_together_as_there_is_memory_for(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trainer(tiny_model, records)
    vector = one.initial.numel() * one.initial.element_size()
    for free, expected in ((2**40, 8), (100 * vector, 3), (vector, 1)):
        monkeypatch.setattr(coalition_trainer, "free_memory", lambda device, free=free: free)
        one.__dict__.pop("at_once", None)
        assert one.at_once == expected


def test_questions_that_a_device_cannot_hold_together_are_scored_apart(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, whole, refused = ModelSpec(tiny_model, "plain", 200), PackedLM._score, []
    expected = evaluate(spec, None, {"test": records}, None, 8, [])

    def for_one_option(lm: PackedLM, pack: Any) -> dict[int, tuple[float, bool]]:
        if sum(len(question.options) for question in pack) > 1:
            refused.append(len(pack))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(lm, pack)

    monkeypatch.setattr(PackedLM, "_score", for_one_option)
    found = evaluate(spec, None, {"test": records}, None, 8, [])
    assert max(refused) > 1
    assert min(refused) == 1, "a question's options are apart, too"
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
