"""The parts of LESS: each is what the plainest computation gives, one record at a time and without a projection."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from tiny_regime import REGIME

from experiments.less.directions import adam_steps, record_gradients
from experiments.less.influence import influences, scores
from experiments.less.projection import Projection, hadamard
from experiments.less.warm_up import Checkpoint, checkpoints, mean_rates
from shed.common.errors import DivergenceError, ShedError
from shed.data.records import Record
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.optimizers import State
from shed.engine.regime import Regime
from shed.engine.utility import dev_set
from shed.models.encoding import Encoded, Encoder
from shed.models.loading import load_model, load_tokenizer

ADAM = replace(REGIME, optimizer="adamw", epochs=4)


@pytest.fixture
def encoder(tiny_model: str) -> Encoder:
    return Encoder(load_tokenizer(tiny_model), "plain", 200, 256)


def trained(tiny_model: str, encoder: Encoder, records: list[Record], regime: Regime = ADAM) -> CoalitionTrainer:
    """Six rows to tune on; of the candidates, at places 6 to 17, the last four are dev."""
    encoded = encoder.encode_all(records, end=True)
    return CoalitionTrainer(load_model(tiny_model), encoded[:6], dev_set("dev_loss", records[8:], encoder), regime, encoded)


def plain_gradients(tiny_model: str, encoded: list[Encoded], at: torch.Tensor) -> torch.Tensor:
    """The gradient of each record's mean loss, in a PEFT model that reads one record at a time."""
    lora = ADAM.lora
    config = LoraConfig(r=lora.r, lora_alpha=lora.alpha, target_modules=list(lora.modules))
    model = get_peft_model(load_model(tiny_model), config)
    parameters = [one for one in model.parameters() if one.requires_grad]
    torch.nn.utils.vector_to_parameters(at, parameters)
    found = []
    for record in encoded:
        tokens = torch.tensor([record.tokens])
        logits = model(tokens).logits[0, record.prompt_length - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, tokens[0, record.prompt_length :])
        found.append(torch.cat([one.flatten() for one in torch.autograd.grad(loss, parameters)]))
    return torch.stack(found)


def somewhere(trainer: CoalitionTrainer) -> torch.Tensor:
    """LoRA weights none of which is zero, as all of B are before a tuning."""
    return trainer.initial + 0.1 * torch.randn(len(trainer.initial), generator=torch.Generator().manual_seed(1))


def test_gradients_of_records_that_are_read_together_are_those_of_each_alone(
    tiny_model: str, encoder: Encoder, records: list[Record]
) -> None:
    trainer = trained(tiny_model, encoder, records)
    at, places = somewhere(trainer), [0, 3, 6 + 8, 6 + 1]  # two members and two candidates
    own = record_gradients(trainer, at, places)
    alone = encoder.encode_all([records[i] for i in (0, 3, 8, 1)], end=True)
    plain = plain_gradients(tiny_model, alone, at)
    assert len({len(one.tokens) for one in alone}) == 3  # some are padded
    assert own.shape == (4, len(trainer.initial))
    assert torch.allclose(own, plain, rtol=1e-3, atol=1e-5)
    assert (plain.norm(dim=1) > 0.01).all()


@given(steps=st.integers(1, 6), momentum=st.sampled_from([0.5, 0.9]), seed=st.integers(0, 99))
def test_a_direction_is_the_next_step_of_torchs_own_adam(steps: int, momentum: float, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    gradients, lr = torch.randn(steps + 1, 20, generator=rng) * 10.0 ** torch.randint(-4, 2, (20,), generator=rng), 0.1
    weights = torch.zeros(20, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=lr, betas=(momentum, 0.999))
    for gradient in gradients[:-1]:
        weights.grad = gradient.clone()
        adam.step()
    before, moments = weights.detach().clone(), adam.state[weights]
    state = State(before[None], moments["exp_avg"][None].clone(), moments["exp_avg_sq"][None].clone())
    direction = adam_steps(gradients[-1:].clone(), Checkpoint(state, steps), momentum)
    weights.grad = gradients[-1].clone()
    adam.step()
    assert torch.allclose(direction[0], (before - weights.detach()) / lr, rtol=1e-3, atol=1e-4)


def test_the_warm_up_stops_at_the_end_of_each_epoch_where_torchs_adam_is(
    tiny_model: str, encoder: Encoder, records: list[Record]
) -> None:
    trainer = trained(tiny_model, encoder, records)
    found = list(checkpoints(trainer))
    assert [one.steps for one in found] == [2, 4, 6, 8]  # six rows in batches of four
    weights = trainer.initial.clone().requires_grad_()
    adam = torch.optim.AdamW([weights], lr=1.0, betas=(ADAM.momentum, 0.999), weight_decay=0.0)
    for number, batch in enumerate(trainer.batches, start=1):
        adam.param_groups[0]["lr"] = ADAM.lr_at(number, 8)
        weights.grad = trainer.gradient(weights[None], batch, np.ones((1, 6)))[0]
        adam.step()
        if number == 4:
            assert torch.allclose(found[1].state.weights[0], weights, atol=1e-4)
            assert torch.allclose(found[1].state.second[0], adam.state[weights]["exp_avg_sq"], atol=1e-5)
    assert torch.allclose(found[3].state.weights[0], weights, atol=1e-4)
    assert not torch.allclose(found[0].state.weights, found[1].state.weights, atol=1e-3)


def test_influences_are_mean_cosines_with_each_sources_records(
    tiny_model: str, encoder: Encoder, records: list[Record]
) -> None:
    """The tiny model has fewer LoRA weights than dimensions, so that the projection keeps cosines as they are."""
    trainer = trained(tiny_model, encoder, records)
    checkpoint, told = list(checkpoints(trainer))[1], []
    encoded = encoder.encode_all(records, end=True)
    projection = Projection(trainer.initial.numel(), 1024, 3, trainer.initial)
    pool, dev = list(range(6, 14)), {"a": [14, 15, 16], "b": [17]}
    found = influences(trainer, checkpoint, projection, pool, dev, told.append)
    plain = plain_gradients(tiny_model, encoded, checkpoint.state.weights[0])
    steps = torch.nn.functional.normalize(adam_steps(plain[:8], checkpoint, ADAM.momentum), dim=1)
    of_dev = torch.nn.functional.normalize(plain[8:], dim=1)
    expected = torch.stack([(steps @ of_dev[:3].T).mean(dim=1), (steps @ of_dev[3:].T).mean(dim=1)], dim=1)
    assert found.shape == (8, 2)
    assert found == pytest.approx(expected.numpy(), abs=1e-3)
    assert sum(told) == 12
    assert np.abs(found).max() > 0.05


def test_what_is_not_finite_is_said_and_not_scored(tiny_model: str, encoder: Encoder, records: list[Record]) -> None:
    trainer = trained(tiny_model, encoder, records)
    state = trainer.start(1)
    broken = Checkpoint(state._replace(weights=torch.full_like(state.weights, torch.nan)), 2)
    projection = Projection(trainer.initial.numel(), 1024, 3, trainer.initial)
    with pytest.raises(
        DivergenceError, match=r"after 2 steps of the warm-up gradients are not finite; lower the learning rate"
    ):
        influences(trainer, broken, projection, [6], {"a": [14]}, lambda _: None)
    with pytest.raises(DivergenceError, match=r"diverged in epoch \d: weights are not finite"):
        list(checkpoints(trained(tiny_model, encoder, records, replace(ADAM, lr=1e38))))


@pytest.mark.parametrize("kind", ["dense", "spiky", "one block"])
def test_a_projection_keeps_cosines_within_about_one_over_the_root_of_its_dimensions(kind: str) -> None:
    rng, dimensions, width = torch.Generator().manual_seed(5), 256, 5003  # which is no multiple
    vectors = torch.randn(40, width, generator=rng)
    vectors[:20] += torch.randn(width, generator=rng)  # the first half are alike
    if kind == "spiky":  # a hundredth of the numbers has nearly all of the length
        vectors *= 1 + 99 * (torch.rand(width, generator=rng) < 0.01)
    if kind == "one block":
        vectors = vectors[:, :200]
    short = Projection(vectors.shape[1], dimensions, 1, vectors)(vectors)
    cosines, kept = (torch.nn.functional.normalize(one, dim=1) for one in (vectors, short))
    error = (cosines @ cosines.T - kept @ kept.T).abs()
    assert short.shape == (40, dimensions)
    assert float(error.max()) < (1e-5 if kind == "one block" else 5 / dimensions**0.5)
    assert float(error.square().mean().sqrt()) < 1.5 / dimensions**0.5


def test_a_projection_is_linear_and_drawn_by_its_seed() -> None:
    vectors = torch.randn(3, 700, generator=torch.Generator().manual_seed(2))
    one, again, other = (Projection(700, 64, seed, vectors) for seed in (1, 1, 2))
    assert torch.equal(one(vectors), again(vectors))
    assert not torch.allclose(one(vectors), other(vectors), atol=0.1)
    assert torch.allclose(one(vectors[:1] + 2 * vectors[1:2]), one(vectors)[0] + 2 * one(vectors)[1], atol=1e-4)
    assert torch.allclose(hadamard(16) @ hadamard(16).T, torch.eye(16), atol=1e-6)
    with pytest.raises(ShedError, match=r"100 dimensions is asked for; take a power of two"):
        Projection(700, 100, 1, vectors)


def test_epochs_count_by_their_learning_rates_and_the_best_source_decides(
    tiny_model: str, encoder: Encoder, records: list[Record]
) -> None:
    rates = mean_rates(trained(tiny_model, encoder, records))
    assert rates == pytest.approx([np.mean([ADAM.lr_at(step, 8) for step in (first, first + 1)]) for first in (1, 3, 5, 7)])
    early, late = np.array([[1.0, 0.0], [0.0, 0.2]]), np.array([[0.0, 0.0], [0.0, 1.0]])
    assert scores([early, late], np.array([3.0, 1.0])) == pytest.approx([0.75, 0.4])
