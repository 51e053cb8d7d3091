"""Long records: layers are run again instead of kept, other kernels of attention are taken, batches come in parts; no number
changes.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny_regime import regime
from torch import Tensor, nn
from torch.autograd import forward_ad

from shed.data.records import Record
from shed.engine import decoder, lora_losses
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.decoder import DecoderLayers, hidden_states
from shed.engine.gradients import dev_gradient, in_run, metagradient
from shed.engine.recompute import again
from shed.engine.texts import Text, text_of
from shed.engine.utility import dev_set
from shed.models import attention
from shed.models.encoding import Encoder
from shed.models.loading import load_model, load_tokenizer

REGIME = regime(optimizer="adamw", lr=0.02)
WEIGHTS = np.array([np.ones(8), [0, 0, 0, 0, 1, 1, 1, 1], [1, 1, 0.5, 0, 2, 0.25, 1, 1]])


def trainer(tiny_model: str, records: list[Record], depth: int | None) -> CoalitionTrainer:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    regime = dataclasses.replace(REGIME, lora=dataclasses.replace(REGIME.lora, depth=depth))
    dev = dev_set("dev_loss", records[8:], encoder)
    return CoalitionTrainer(load_model(tiny_model), encoder.encode_all(records[:8], end=True), dev, regime)


class Count:
    """How often a layer was left to be run again, with values alone and with their tangents."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = self.dual = 0
        monkeypatch.setattr(decoder, "again", self)

    def __call__(self, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        self.calls += 1
        result = again(function, *inputs)
        self.dual += forward_ad.unpack_dual(result).tangent is not None
        return result


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


@pytest.mark.parametrize("depth", [2, None])
@pytest.mark.parametrize("valuate", [metagradient, in_run])
def test_marginals_are_those_without_recomputation(
    tiny_model: str,
    records: list[Record],
    monkeypatch: pytest.MonkeyPatch,
    valuate: Callable[..., tuple[np.ndarray, np.ndarray]],
    depth: int | None,
) -> None:
    """A metagradient has second derivatives, by the gradient of a forward-mode pass; in-run marginals need none."""
    kept = valuate(trainer(tiny_model, records, depth), WEIGHTS)
    monkeypatch.setattr(lora_losses, "SHORT", 1)
    monkeypatch.setattr(lora_losses, "HEAD_TOKENS", 3)
    count = Count(monkeypatch)
    recomputed = valuate(trainer(tiny_model, records, depth), WEIGHTS)
    assert count.calls > count.dual
    assert (count.dual > 0) == (valuate is metagradient)
    for before, after in zip(kept, recomputed, strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-4 * np.abs(before).max())


def test_second_derivatives_are_right_and_nothing_inside_is_kept_for_them() -> None:
    w, direction = torch.tensor([0.9, -0.8, 0.7]).double(), torch.tensor([1.0, -2.0, 0.5]).double()
    start, kept = torch.tensor([0.3, 0.7, -0.2]).double(), 0

    def link(x: Tensor, w: Tensor) -> Tensor:
        for _ in range(8):
            x = (x * w).tanh() + x.roll(1) * w
        return x

    def chain(w: Tensor, run: Callable[..., Tensor]) -> Tensor:
        x = start
        for _ in range(4):
            x = run(link, x, w)
        return x.square().sum()

    def count(saved: Tensor) -> Tensor:
        nonlocal kept
        kept += 1
        return saved

    own = w.clone().requires_grad_()
    with forward_ad.dual_level():
        with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
            slope = forward_ad.unpack_dual(chain(forward_ad.make_dual(own, direction), again)).tangent
        assert kept < 8 * 4
        (curvature,) = torch.autograd.grad(slope, own)
    whole = torch.func.hessian(lambda w: chain(w, lambda run, *inputs: run(*inputs)))(w)
    torch.testing.assert_close(curvature, whole @ direction)


def test_recomputation_ends_with_the_block_that_asked_for_it(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_losses, "SHORT", 20)
    count, one = Count(monkeypatch), trainer(tiny_model, records, None)
    at = one.initial[None].detach().requires_grad_()

    def loss(longest: int, stop: bool = False) -> None:
        with one.losses.backward_pass(longest):
            one.losses.member_losses(at, np.array([0]), np.array([0])).sum().backward()
            if stop:
                raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        loss(21, stop=True)
    assert count.calls == 3  # one for each layer
    one.losses.member_losses(at, np.array([0]), np.array([0])).sum().backward()
    loss(20)
    assert count.calls == 3


def lower_layers(tiny_model: str, records: list[Record]) -> tuple[nn.Module, DecoderLayers, list[Text]]:
    model, encoder = load_model(tiny_model), Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    texts = [text_of(one, model.device) for one in encoder.encode_all(records, end=True)]
    return model.model.embed_tokens, DecoderLayers(list(model.model.layers)[:2], model.model.rotary_emb), texts


def test_hidden_states_are_kept_where_layers_lie_below_and_in_parts(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    embed, below, texts = lower_layers(tiny_model, records)
    passes: list[int] = []
    below.register_forward_hook(lambda module, inputs, out: passes.append(out.shape[0] * out.shape[1]))
    at_once = hidden_states(embed, below, texts)
    assert len(passes) == 1
    monkeypatch.setattr(decoder, "HIDDEN_TOKENS", 200)
    in_parts = hidden_states(embed, below, texts)
    assert len(passes) > 2
    assert max(passes[1:]) <= 200
    for text, one, other in zip(texts, at_once, in_parts, strict=True):
        assert one.hidden is not None
        assert one.hidden.shape == (len(text.tokens), 32)
        assert other.hidden is not None
        torch.testing.assert_close(one.hidden, other.hidden)


def test_hidden_states_of_more_than_fits_are_not_kept_and_no_number_changes(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = trainer(tiny_model, records, 1).utilities(WEIGHTS)
    embed, below, texts = lower_layers(tiny_model, records)
    monkeypatch.setattr(decoder, "HIDDEN_BYTES", sum(len(text.tokens) for text in texts) * 32 * 4 - 1)
    assert [text.hidden for text in hidden_states(embed, below, texts)] == [None] * len(records)
    monkeypatch.setattr(decoder, "HIDDEN_BYTES", 0)
    np.testing.assert_allclose(trainer(tiny_model, records, 1).utilities(WEIGHTS), kept, rtol=1e-5)
    assert abs(kept[0] - kept[1]) > 1e-3


def test_nothing_is_kept_where_all_layers_are_tuned(tiny_model: str, records: list[Record]) -> None:
    embed, below, texts = lower_layers(tiny_model, records)
    below.layers = nn.ModuleList()
    assert [text.hidden for text in hidden_states(embed, below, texts)] == [None] * len(records)
