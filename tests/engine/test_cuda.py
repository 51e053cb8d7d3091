"""The same numbers on a GPU as on a processor. Skipped where there is no GPU that torch can use."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_regime import regime

from shed.data.records import Record
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.engine.gradients import dev_gradient, in_run, metagradient
from shed.engine.utility import dev_set
from shed.evaluation.lm_evaluation import evaluate
from shed.models.encoding import Encoder
from shed.models.loading import load_model, load_tokenizer
from shed.models.specs import LoraSettings, ModelSpec
from shed.tuning.finetuning import TuningSettings, finetune
from shed.valuation.rating.rater import losses
from shed.valuation.ratings import rate

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
WEIGHTS = np.array([np.ones(8), [0, 0, 0, 0, 1, 1, 1, 1]])


def trainer(tiny_model: str, records: list[Record], device: str) -> CoalitionTrainer:
    encoder = Encoder(load_tokenizer(tiny_model), "plain", 200, 256)
    dev = dev_set("dev_loss", records[8:], encoder)
    model = load_model(tiny_model).float().to(device)
    return CoalitionTrainer(model, encoder.encode_all(records[:8], end=True), dev, regime(epochs=1))


def test_utilities_and_gradients_through_tunings_are_those_of_a_processor(tiny_model: str, records: list[Record]) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        one = trainer(tiny_model, records, device)
        assert one.initial.device.type == device
        one.initial = trainer(tiny_model, records, "cpu").initial.to(device)  # drawn on the device, so others
        values, uphill = dev_gradient(one, one.initial.expand(2, -1))
        found[device] = [
            values,
            uphill.cpu().numpy(),
            one.utilities(WEIGHTS),
            *metagradient(one, WEIGHTS),
            *in_run(one, WEIGHTS),
            losses(one, one.initial[None], one.members),
        ]
    for on_cpu, on_gpu in zip(*found.values(), strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=2e-3, atol=1e-5)


def test_records_are_rated_and_a_tuned_model_is_evaluated(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    spec = ModelSpec(tiny_model, "plain", 200)
    assert load_model(tiny_model).device.type == "cuda", "a GPU is used where there is one"
    rated = rate(records[:8], records[8:], spec, "dev_loss", regime(epochs=1), warm_rows=8)
    assert np.isfinite(rated.ratings).all()
    assert rated.ratings.std() > 0
    settings = TuningSettings(LoraSettings(2, 4, ["q_proj", "v_proj"]), 0.01, 0.1, batch_size=4, epochs=1, seed=1)
    tuned = finetune(records[:8], spec, settings, tmp_path / "adapter", "a test")
    assert np.isfinite(tuned.losses["loss"]).all()
    before, after = (evaluate(spec, adapter, {"test": records[8:]}, None, 8, []) for adapter in (None, tmp_path / "adapter"))
    assert np.isfinite(after["nats"]).all()
    assert (before["nats"] != after["nats"]).any(), "the adapter has changed the model"
