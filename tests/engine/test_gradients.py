"""The gradient through the whole tuning, against finite differences in float64."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from shed.data.records import Record, single_turn
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.gradients import dev_gradients, in_run, metagradient, metagradient_fte
from shed.engine.regime import Optimizer, Regime
from shed.engine.utility import UtilityKind, dev_set
from shed.models.encoding import Encoder
from shed.models.loading import load_model, load_tokenizer
from shed.models.specs import LoraSettings

REGIME = Regime(
    lora=LoraSettings(r=2, alpha=4, modules=["q_proj", "down_proj"], depth=2),
    optimizer="sgd",
    lr=0.3,
    momentum=0.9,
    batch_size=3,
    epochs=2,
    schedule="constant",
    warmup=0.0,
    seed=3,
)


def double_trainer(
    tiny_model: str,
    records: list[Record],
    regime: Regime,
    utility: UtilityKind = "dev_loss",
    members: int = 7,
    worst_of: Sequence[str] = (),
) -> CoalitionTrainer:
    """A trainer in float64 throughout: transformers' own norm computes in float32 whatever it is given."""
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    encoded = encoder.encode_all(records, end=True)
    model = load_model(tiny_model).to(torch.float64)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "LlamaRMSNorm":
                norm = torch.nn.RMSNorm(child.weight.shape, eps=child.variance_epsilon, dtype=torch.float64)
                norm.weight = child.weight
                setattr(parent, name, norm)
    dev = dev_set(utility, records[7:], encoder, dict.fromkeys(worst_of, 1.0), "worst" if worst_of else "mean")
    return CoalitionTrainer(model, encoded[:members], dev, regime, encoded[members:7])


SOME, ALL = [1, 0, 1, 1, 0, 0.5, 1], [1] * 7


def assert_derivatives(trainer: CoalitionTrainer, weights: np.ndarray, gradients: np.ndarray) -> None:
    """Each gradient is that of finite differences at its weights."""
    size = 1e-5
    for at, gradient in zip(weights, gradients, strict=True):
        numeric = (trainer.utilities(at + size * np.eye(7)) - trainer.utilities(at - size * np.eye(7))) / (2 * size)
        assert np.abs(numeric).max() > 1e-3
        np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("optimizer", "lr", "weights", "utility"),
    [
        ("sgd", 0.3, SOME, "dev_loss"),
        ("sgd", 0.3, ALL, "dev_loss"),
        ("sgd", 0.3, SOME, "choice_loss"),
        ("adamw", 0.01, SOME, "dev_loss"),
        ("adamw", 0.01, ALL, "dev_loss"),
        ("frozen_adam", 0.01, SOME, "dev_loss"),
    ],
)
def test_it_is_the_derivative_for_records_in_and_out_of_the_coalition(
    tiny_model: str,
    records: list[Record],
    optimizer: Optimizer,
    lr: float,
    weights: list[float],
    utility: UtilityKind,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    regime = dataclasses.replace(REGIME, optimizer=optimizer, lr=lr)
    trainer = double_trainer(tiny_model, records, regime, utility)
    together = np.array([weights, [1, 1, 1, 0, 0, 0.5, 0]])  # with another coalition, which must have no effect
    values, gradients = metagradient(trainer, together)
    assert values == pytest.approx(trainer.utilities(together), abs=1e-12)
    assert_derivatives(trainer, together, gradients)


def test_where_the_worst_task_counts_it_is_the_derivative_of_the_least_gain(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tasks, of which one coalition helps one least and the other the other."""
    gains: list[np.ndarray] = []

    def telling(trainer: CoalitionTrainer, at: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
        found = dev_gradients(trainer, at)
        gains.append(found[0])
        return found

    monkeypatch.setattr("shed.engine.gradients.dev_gradients", telling)
    tasked = [
        single_turn(record.prompt, "no", "refuse", record.origin) if n % 3 == 1 else dataclasses.replace(record, source="count")
        for n, record in enumerate(records)
    ]
    trainer = double_trainer(tiny_model, tasked, REGIME, worst_of=("count", "refuse"))
    together = np.array([[1, 0.01, 1, 1, 0.01, 0.5, 1], [0.01, 1, 0.01, 0.01, 1, 0.5, 0.01]])
    values, gradients = metagradient(trainer, together)
    assert gains[0].argmin(axis=1).tolist() == [1, 0]
    assert values.tolist() == gains[0].min(axis=1).tolist()
    assert values == pytest.approx(trainer.utilities(together), abs=1e-12)
    assert_derivatives(trainer, together, gradients)


def test_records_of_a_batch_that_is_not_a_step_have_gradients_too(tiny_model: str, records: list[Record]) -> None:
    """Without momentum the jump at weight 0 vanishes, so that the gradient is the one-sided derivative here, too."""
    trainer = double_trainer(tiny_model, records, dataclasses.replace(REGIME, momentum=0.0))
    nothing = np.zeros((1, 7))
    utility, gradient = metagradient(trainer, nothing)
    assert utility == pytest.approx(trainer.utilities(nothing), abs=1e-12)  # two kernels of attention round differently
    step = 1e-6
    numeric = (trainer.utilities(step * np.eye(7)) - utility) / step
    np.testing.assert_allclose(gradient[0], numeric, rtol=1e-3, atol=1e-6)


def test_first_order_effects_are_the_gradient_of_one_plain_step(tiny_model: str, records: list[Record]) -> None:
    """With one step of plain SGD so small that utility is linear in it, both kinds of marginals agree."""
    regime = dataclasses.replace(REGIME, momentum=0.0, lr=1e-4, batch_size=7, epochs=1)
    trainer = double_trainer(tiny_model, records, regime)
    np.testing.assert_allclose(in_run(trainer, np.ones((1, 7)))[1], metagradient(trainer, np.ones((1, 7)))[1], rtol=1e-2)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "frozen_adam"])
def test_coalitions_tuned_together_have_the_same_gradients_as_alone(
    tiny_model: str, records: list[Record], optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that are empty for some of them only, a schedule that then lags, a candidate, and states of two segments."""
    regime = dataclasses.replace(REGIME, batch_size=2, schedule="linear", warmup=0.3, optimizer=optimizer, lr=0.01)
    trainer = double_trainer(tiny_model, records, regime, members=6)
    together = np.array([[1, 0, 1, 1, 0, 0.5], [1, 0, 0, 1, 1, 0], [0] * 6, [0, 1, 0, 0, 1, 0]])
    alone = [metagradient(trainer, one[None]) for one in together]
    monkeypatch.setattr("shed.engine.gradients.KEPT_BYTES", 4 * 4 * 8 * 4 * trainer.initial.numel())
    utilities, gradients = metagradient(trainer, together)
    np.testing.assert_allclose(utilities, [utility for (utility,), _ in alone], rtol=1e-9)
    np.testing.assert_allclose(gradients, [gradient for _, (gradient,) in alone], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(in_run(trainer, together)[1], [in_run(trainer, one[None])[1][0] for one in together], rtol=1e-6)


def test_a_tuning_too_long_to_keep_is_cut_into_segments_and_gives_the_same(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = double_trainer(tiny_model, records, dataclasses.replace(REGIME, optimizer="adamw", lr=0.01))
    whole, cost = metagradient(trainer, np.array([SOME])), metagradient_fte(trainer, np.array(SOME))
    monkeypatch.setattr("shed.engine.gradients.KEPT_BYTES", 2 * 4 * 8 * trainer.initial.numel())  # two steps in float64
    cut = metagradient(trainer, np.array([SOME]))
    np.testing.assert_allclose(cut[1], whole[1], rtol=1e-9)
    assert metagradient_fte(trainer, np.array(SOME)) > cost


def test_a_model_in_bfloat16_is_tuned_in_float32_weights_with_nearly_the_same_gradient(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    encoded = encoder.encode_all(records, end=True)
    dev = dev_set("dev_loss", records[7:], encoder)
    found = {}
    for narrow in (False, True):
        monkeypatch.setattr("shed.models.loading.has_fast_bfloat16", lambda narrow=narrow: narrow)
        trainer = CoalitionTrainer(load_model(tiny_model), encoded[:7], dev, REGIME)
        assert trainer.initial.dtype == torch.float32
        (utility,), (gradient,) = metagradient(trainer, np.array([SOME]))
        found[narrow] = utility, gradient
    assert found[True][0] == pytest.approx(found[False][0], rel=0.01)
    assert np.corrcoef(found[True][1], found[False][1])[0, 1] > 0.95


def test_a_candidate_has_the_gradient_of_a_record_of_weight_zero_in_the_only_batch(
    tiny_model: str, records: list[Record]
) -> None:
    regime = dataclasses.replace(REGIME, batch_size=7, epochs=1)
    inside = double_trainer(tiny_model, records, regime)
    outside = double_trainer(tiny_model, records, regime, members=5)
    weights = np.array([1.0, 0, 1, 1, 1, 0, 0])
    share = inside.losses.response_tokens(range(7)) / outside.losses.response_tokens(range(5))  # of the batch's tokens
    for way in (metagradient, in_run):
        _, of_all = way(inside, weights[None] * share)
        _, of_five = way(outside, weights[None, :5])
        np.testing.assert_allclose(of_five[0, 5:] / share, of_all[0, 5:], rtol=1e-6)


@pytest.mark.parametrize("batch_size", [2, 3])  # 2 leaves a batch of one, 3 of two
def test_candidates_of_a_longer_run_are_valued_as_records_of_its_batches_are(
    tiny_model: str, records: list[Record], batch_size: int
) -> None:
    regime = dataclasses.replace(REGIME, lr=0.01, batch_size=batch_size, epochs=3)
    twin = [
        *records[:5],
        records[0],
        records[3],
        *records[7:],
    ]  # candidates: copies of a record that is in and of one that is out
    found = metagradient(double_trainer(tiny_model, twin, regime, members=5), np.array([[1.0, 0, 1, 0, 1]]))[1][0]
    assert found[5] == pytest.approx(found[0], rel=0.5)
    assert found[6] == pytest.approx(found[3], rel=0.5)
