"""Long records: layers are run again instead of kept, other kernels of attention are taken, batches come in parts; no number
changes.
"""

import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from shed.data.records import Record
from shed.engine import decoder, lora_losses
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.decoder import DecoderLayers, hidden_states
from shed.engine.gradients import dev_gradient, in_run, metagradient
from shed.engine.regime import Regime
from shed.engine.utility import dev_set
from shed.models import attention
from shed.models.encoding import Encoder
from shed.models.loading import load_model, load_tokenizer
from shed.models.specs import LoraSettings

REGIME = Regime(
    lora=LoraSettings(r=2, alpha=4, modules=["q_proj", "down_proj"]),
    optimizer="adamw",
    lr=0.02,
    momentum=0.9,
    batch_size=4,
    epochs=2,
    schedule="linear",
    warmup=0.1,
    seed=3,
)
WEIGHTS = np.array([np.ones(8), [0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 0.5, 0, 2, 0.25, 1, 1]])


def trainer(tiny_model: str, records: list[Record], depth: int | None) -> CoalitionTrainer:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    regime = dataclasses.replace(REGIME, lora=dataclasses.replace(REGIME.lora, depth=depth))
    dev = dev_set("dev_loss", records[8:], encoder)
    return CoalitionTrainer(load_model(tiny_model), encoder.encode_all(records[:8], end=True), dev, regime)


class Count:
    """How often a layer was left to be run again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        monkeypatch.setattr(decoder, "checkpoint", self)

    def __call__(self, *given: object, **named: object) -> object:
        self.calls += 1
        return checkpoint(*given, **named)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("depth", [2, None])
def test_gradients_and_utilities_are_those_without_recomputation(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch, depth: int | None, fused: bool
) -> None:
    count, one = Count(monkeypatch), trainer(tiny_model, records, depth)
    noise = torch.randn(3, one.initial.numel(), generator=torch.Generator().manual_seed(1))
    at = one.initial + 0.05 * noise  # each coalition has LoRA weights of its own

    def all_numbers() -> list[np.ndarray]:
        values, uphill = dev_gradient(one, at)
        inside = one.gradient(at, list(range(8)), WEIGHTS)
        return [values, uphill.numpy(), inside.numpy(), one.measure(at), one.utilities(WEIGHTS)]

    kept = all_numbers()
    assert count.calls == 0
    monkeypatch.setattr(lora_losses, "SHORT", 1)
    monkeypatch.setattr(lora_losses, "HEAD_TOKENS", 3)
    if fused:
        monkeypatch.setattr(attention, "SHORT", 1)
    recomputed = all_numbers()
    assert count.calls > 0
    for before, after in zip(kept, recomputed, strict=True):
        assert np.abs(before).max() > 1e-3
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-4 * np.abs(before).max())
    assert np.abs(kept[2][0] - kept[2][2]).max() > 0.01 * np.abs(kept[2]).max()  # a record's weight does something


@pytest.mark.parametrize("valuate", [metagradient, in_run])
def test_what_is_differentiated_twice_or_forwards_is_not_recomputed(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch, valuate: object
) -> None:
    assert callable(valuate)
    kept = valuate(trainer(tiny_model, records, None), WEIGHTS)
    monkeypatch.setattr(lora_losses, "SHORT", 1)
    monkeypatch.setattr(lora_losses, "HEAD_TOKENS", 3)
    count = Count(monkeypatch)
    recomputed = valuate(trainer(tiny_model, records, None), WEIGHTS)
    assert count.calls > 0
    for before, after in zip(kept, recomputed, strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-4 * np.abs(before).max())


def test_recomputation_ends_with_the_block_that_asked_for_it(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_losses, "SHORT", 20)
    count, one = Count(monkeypatch), trainer(tiny_model, records, None)
    at = one.initial[None].detach().requires_grad_()

    def loss(longest: int, stop: bool = False) -> None:
        with one.losses.first_order(longest):
            one.losses.member_losses(at, np.array([0]), np.array([0])).sum().backward()
            if stop:
                raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        loss(21, stop=True)
    assert count.calls == 3  # one for each layer
    one.losses.member_losses(at, np.array([0]), np.array([0])).sum().backward()
    loss(20)
    assert count.calls == 3


def test_hidden_states_are_kept_where_layers_lie_below_and_in_parts(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, encoder = load_model(tiny_model), Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    encoded, inner = encoder.encode_all(records, end=True), model.model
    below = DecoderLayers(list(inner.layers)[:2], inner.rotary_emb)
    passes: list[int] = []
    below.register_forward_hook(lambda module, inputs, out: passes.append(out.shape[0] * out.shape[1]))
    at_once = hidden_states(inner.embed_tokens, below, encoded, model.device)
    assert len(passes) == 1
    monkeypatch.setattr(decoder, "HIDDEN_TOKENS", 200)
    in_parts = hidden_states(inner.embed_tokens, below, encoded, model.device)
    assert len(passes) > 2
    assert max(passes[1:]) <= 200
    for record, one, other in zip(encoded, at_once, in_parts, strict=True):
        assert one.hidden is not None
        assert one.hidden.shape == (len(record.tokens), 32)
        assert other.hidden is not None
        torch.testing.assert_close(one.hidden, other.hidden)
        assert one.targets.tolist() == [record.tokens[place + 1] for place in one.predictors.tolist()]


def test_nothing_is_kept_where_all_layers_are_tuned(tiny_model: str, records: list[Record]) -> None:
    model, encoder = load_model(tiny_model), Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    encoded = encoder.encode_all(records, end=True)
    cached = hidden_states(model.model.embed_tokens, DecoderLayers([], model.model.rotary_emb), encoded, model.device)
    assert [one.hidden for one in cached] == [None] * len(records)
    assert [tuple(one.tokens.tolist()) for one in cached] == [record.tokens for record in encoded]
    assert [one.weights.tolist() for one in cached] == [record.weights for record in encoded]
