"""A short measurement of how fast a model is."""

from dataclasses import replace
from pathlib import Path

import pytest

from shed.data.records import Record
from shed.models.specs import ModelSpec
from shed.params import load_params
from shed.valuation.costs.speed import Speed, measure
from stages.shared.settings.regime import scoring_regime


def test_where_only_the_top_layers_are_scored_the_final_tuning_is_timed_by_itself(
    tiny_model: str, records: list[Record], project_root: Path
) -> None:
    params = load_params(project_root / "params.yaml")
    whole = scoring_regime(params, 1)
    spec = ModelSpec(tiny_model, "plain", 256)
    all_layers = measure(spec, records, records, whole)
    assert all_layers.forward_whole is all_layers.forward
    top = measure(spec, records, records, replace(whole, lora=replace(whole.lora, depth=1)))
    assert (top.lora_whole, all_layers.lora) == (3 * top.lora, 3 * top.lora), "the model has three layers"
    assert top.forward_whole != top.forward
    assert all(seconds > 0 for seconds in (*top.forward, *top.tuned, *top.forward_whole, *top.tuned_whole))
    assert top.memory > top.model_bytes > 0


def test_intervals_are_as_wide_as_the_timed_passes_differ() -> None:
    assert Speed([1.0, 1.0], [2.0, 3.0, 2.5], [], [], 0, 0, 0, 0, 0).spread == pytest.approx(0.2)
