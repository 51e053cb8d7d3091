"""A coalition's utility from cached hidden states is the utility of tuning the whole model on it, and of nothing else."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.engine.batches import length_batches
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.regime import Optimizer, Regime
from shed.engine.utility import DevSet
from shed.models.encoding import Encoded, Encoder
from shed.models.loading import load_model, load_tokenizer
from shed.models.specs import LoraSettings
from shed.valuation.game import Run
from shed.valuation.tuning_game import TuningGame

REGIME = Regime(
    lora=LoraSettings(r=4, alpha=8, modules=["q_proj", "down_proj"], depth=2),
    optimizer="sgd",
    lr=0.5,
    momentum=0.9,
    batch_size=4,
    epochs=2,
    schedule="constant",
    warmup=0.0,
    seed=3,
)


def with_lora(regime: Regime, **changes: Any) -> Regime:
    return dataclasses.replace(regime, lora=dataclasses.replace(regime.lora, **changes))


@pytest.fixture
def encoded(tiny_model: str, records: list[Record]) -> list[Encoded]:
    return Encoder(load_tokenizer(tiny_model), "plain", 200, 256).encode_all(records, end=True)


def own_loss(dev: list[Encoded]) -> DevSet:
    weight = 1 / sum(record.response_weight for record in dev)
    return DevSet("dev_loss", tuple((record,) for record in dev), (0,) * len(dev), ((1,),) * len(dev), (weight,) * len(dev))


def trainer(tiny_model: str, encoded: list[Encoded], regime: Regime = REGIME) -> CoalitionTrainer:
    return CoalitionTrainer(load_model(tiny_model), encoded[:8], own_loss(encoded[8:]), regime)


def whole_model_utility(
    tiny_model: str, members: list[Encoded], dev: list[Encoded], weights: np.ndarray, regime: Regime
) -> float:
    """The same protocol in the plainest way: a PEFT model, one record at a time, all layers, all logits."""
    torch.manual_seed(regime.seed)
    base = load_model(tiny_model)
    total = base.config.num_hidden_layers
    lora = regime.lora
    layers = list(range(total - (lora.depth or total), total))
    config = LoraConfig(r=lora.r, lora_alpha=lora.alpha, target_modules=list(lora.modules), layers_to_transform=layers)
    model = get_peft_model(base, config)

    def nats(record: Encoded) -> torch.Tensor:
        tokens = torch.tensor([record.tokens])
        logits = model(tokens).logits[0, record.prompt_length - 1 : -1]
        return torch.nn.functional.cross_entropy(logits, tokens[0, record.prompt_length :], reduction="sum")

    parameters = [p for p in model.parameters() if p.requires_grad]
    batches = length_batches([len(r.tokens) for r in members], regime.batch_size, regime.epochs, regime.seed)

    def tune(optimizer: torch.optim.Optimizer, weights: np.ndarray, before_step: Callable[[], None] = lambda: None) -> None:
        for batch in batches:
            if any(weights[i] for i in batch):
                optimizer.zero_grad()
                loss = sum(float(weights[i]) * nats(members[i]) for i in batch) / sum(members[i].response_length for i in batch)
                loss.backward()  # type: ignore[union-attr]
                before_step()
                optimizer.step()

    def adamw() -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=regime.lr, betas=(regime.momentum, 0.999), weight_decay=0.0)

    if regime.optimizer == "sgd":
        tune(torch.optim.SGD(parameters, lr=regime.lr, momentum=regime.momentum), weights)
    elif regime.optimizer == "adamw":
        tune(adamw(), weights)
    else:
        untuned, squares = [p.detach().clone() for p in parameters], [0.0] * len(parameters)

        def look() -> None:
            squares[:] = [so_far + float(p.grad.square().mean()) for so_far, p in zip(squares, parameters, strict=True)]

        tune(adamw(), np.ones(len(members)), look)
        for p, old, square in zip(parameters, untuned, squares, strict=True):
            p.data.copy_(old)
            # AdamW's step is lr · m / √v; with v given and no momentum that is one of plain SGD on gradients over √v
            root = (square / len(batches)) ** 0.5
            p.register_hook(lambda g, root=root: g / root)
        tune(torch.optim.SGD(parameters, lr=regime.lr), weights)
    with torch.no_grad():
        return -float(sum(nats(r) for r in dev)) / sum(r.response_length for r in dev)


@pytest.mark.parametrize("depth", [1, 2, None])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "frozen_adam"])
def test_cached_layers_padding_and_dropped_records_change_nothing(
    tiny_model: str, encoded: list[Encoded], depth: int | None, optimizer: Optimizer
) -> None:
    lr, momentum = 0.5 if optimizer == "sgd" else 0.01, 0.0 if optimizer == "frozen_adam" else 0.9
    regime = dataclasses.replace(with_lora(REGIME, depth=depth), optimizer=optimizer, lr=lr, momentum=momentum)
    together = np.array([[1, 0, 1, 1, 0, 0, 0.5, 1], np.zeros(8), np.eye(8)[3], [1, 1, 0, 1, 1, 1, 1, 0]])
    fast = trainer(tiny_model, encoded, regime).utilities(together)
    slow = [whole_model_utility(tiny_model, encoded[:8], encoded[8:], weights, regime) for weights in together]
    assert fast == pytest.approx(slow, abs=1e-4)
    assert abs(slow[0] - slow[1]) > 0.01  # the tuning did something


def test_an_absent_record_leaves_no_trace(tiny_model: str, encoded: list[Encoded]) -> None:
    weights = np.array([[1, 1, 0, 1, 1, 1, 1, 1]])
    other = list(encoded)
    other[2] = dataclasses.replace(other[2], tokens=tuple(reversed(other[2].tokens)))
    assert trainer(tiny_model, encoded).utilities(weights) == trainer(tiny_model, other).utilities(weights)


@pytest.mark.parametrize("optimizer", ["sgd", "frozen_adam"])
def test_another_draw_has_other_initial_weights_and_batches_and_does_not_change_the_first(
    tiny_model: str, encoded: list[Encoded], optimizer: Optimizer
) -> None:
    one = trainer(tiny_model, encoded, dataclasses.replace(REGIME, optimizer=optimizer, lr=0.01))
    everything, nothing = np.ones((1, 8)), np.zeros((1, 8))
    before = one.utilities(everything)
    other = one.with_draw(1)
    found = other.utilities(everything)
    assert found != before
    assert other.batches != one.batches
    assert one.utilities(everything) == before
    assert one.with_draw(1).utilities(everything) == found
    assert one.with_draw(2).utilities(everything) != found
    assert other.utilities(nothing) == one.utilities(nothing)  # LoRA starts as the base model


def test_every_evaluation_starts_afresh(tiny_model: str, encoded: list[Encoded]) -> None:
    one = trainer(tiny_model, encoded)
    everything, half = np.ones((1, 8)), np.arange(8)[None] % 2
    first = one.utilities(everything)
    one.utilities(half)
    assert one.utilities(everything) == first


@pytest.mark.parametrize("run", [None, Run("metagradient"), Run("metagradient", draw=2)])
def test_a_coalition_that_diverges_does_not_spoil_those_tuned_together_with_it(
    tiny_model: str, encoded: list[Encoded], run: Run | None
) -> None:
    game = TuningGame(trainer(tiny_model, encoded), np.arange(8).tolist(), [str(i) for i in range(8)])
    weights = np.array([[1e30] * 8, [1] * 8, [1, 0] * 4, [0] * 8])
    diverged, *sound = game.evaluate(weights, run)
    assert not diverged.finite
    assert [one.utility for one in sound] == pytest.approx([game.evaluate(one[None], run)[0].utility for one in weights[1:]])
    assert all(one.finite for one in sound)


def test_the_set_up_of_frozen_moments_costs_a_tuning_on_all_records(tiny_model: str, encoded: list[Encoded]) -> None:
    assert trainer(tiny_model, encoded).setup_fte == 0.0
    one = trainer(tiny_model, encoded, dataclasses.replace(REGIME, optimizer="frozen_adam", lr=0.01))
    assert one.setup_fte + one.fine_tune_equivalents(np.zeros(8)) == pytest.approx(1.0)


def test_the_cost_of_all_records_is_one_and_of_none_is_that_of_measuring(tiny_model: str, encoded: list[Encoded]) -> None:
    one = trainer(tiny_model, encoded)
    tuned = 2 * 2 * sum(len(r.tokens) for r in encoded[:8])
    dev = sum(len(r.tokens) for r in encoded[8:])
    assert one.fine_tune_equivalents(np.ones(8)) == 1.0
    assert one.fine_tune_equivalents(np.zeros(8)) == pytest.approx(dev / (tuned + dev))


def test_what_cannot_be_tuned_is_refused(tiny_model: str, encoded: list[Encoded]) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    with pytest.raises(ShedError, match="LoRA weights are asked for in 9 layers, but the model has 3") as error:
        trainer(tiny_model, encoded, with_lora(REGIME, depth=9))
    assert error.value.setting == "LoRA depth"
    with pytest.raises(ShedError, match="the model has no linear layers named w_proj") as error:
        trainer(tiny_model, encoded, with_lora(REGIME, modules=["w_proj"]))
    assert error.value.setting == "LoRA modules"
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(ShedError, match="GPT2LMHeadModel is not of the Llama shape"):
        CoalitionTrainer(gpt2, encoded[:8], own_loss(encoded[8:]), REGIME)


def gemma(folder: Path, tokenizer_of: str, window: int) -> str:
    """The folder of a random Gemma 3, whose layers see a window of tokens and all tokens in turn."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    tokenizer = load_tokenizer(tokenizer_of)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        sliding_window=window,
        max_position_embeddings=256,
        initializer_range=0.2,
    )
    Gemma3ForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("depth", [1, None])
def test_layers_of_two_kinds_of_attention_are_tuned_as_the_whole_model_is(
    tiny_model: str, tmp_path: Path, encoded: list[Encoded], depth: int | None
) -> None:
    model, regime = gemma(tmp_path, tiny_model, window=256), dataclasses.replace(with_lora(REGIME, depth=depth), lr=0.05)
    weights = np.array([[1, 0, 1, 1, 0, 0, 0.5, 1]])
    (fast,) = trainer(model, encoded, regime).utilities(weights)
    assert fast == pytest.approx(whole_model_utility(model, encoded[:8], encoded[8:], weights[0], regime), rel=1e-4)


def test_records_longer_than_an_attention_window_are_refused(tiny_model: str, tmp_path: Path, encoded: list[Encoded]) -> None:
    model = gemma(tmp_path, tiny_model, window=16)
    with pytest.raises(
        ShedError, match="some of the model's layers attend to the last 16; set the context length to at most that"
    ) as error:
        trainer(model, encoded)
    assert error.value.setting == "context length"


def test_a_model_that_does_more_than_its_layers_is_noticed(tiny_model: str, encoded: list[Encoded]) -> None:
    model = load_model(tiny_model)
    model.lm_head.register_forward_hook(lambda module, inputs, logits: logits)
    model.register_forward_hook(lambda module, inputs, out: out.__setitem__("logits", out["logits"] * 2))
    with pytest.raises(ShedError, match="does more than embeddings, layers, norm and head"):
        CoalitionTrainer(model, encoded[:8], own_loss(encoded[8:]), REGIME)
