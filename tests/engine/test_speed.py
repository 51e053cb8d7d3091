"""A short measurement of how fast a model is."""

from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from shed.data.records import Record
from shed.engine.batches import length_batches
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec
from shed.params import load_params
from shed.valuation.costs.speed import FORWARD_TOKENS, TUNED_TOKENS, Speed, measure
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


def test_seconds_are_of_as_many_passes_as_were_timed(tiny_model: str, records: list[Record], project_root: Path) -> None:
    """With a clock that ticks once each time it is looked at, they tell by how many token passes they were divided."""
    records = records * 12  # so that they are longer than what is timed
    regime = scoring_regime(load_params(project_root / "params.yaml"), 1)
    spec = ModelSpec(tiny_model, "plain", 256)
    encoder = load_language_model(spec).encoder
    speed = measure(spec, records, records, regime, partial(next, count()))

    def tokens(some: list[Record]) -> list[int]:
        return [len(one.tokens) for one in encoder.encode_all(some, end=True)]

    def characters(record: Record) -> int:
        return sum(len(turn.text) for turn in record.messages)

    read = next(n for n in range(1, len(records) + 1) if sum(map(characters, records[:n])) >= 4 * FORWARD_TOKENS)
    assert [1 / one for one in speed.forward] == pytest.approx([sum(tokens(records[:read]))] * 3)
    members = [max(records, key=characters), *records[: 2 * regime.batch_size - 1]]
    lengths, ordered = tokens(members), []
    for batch in length_batches(lengths, regime.batch_size, regime.epochs, regime.seed):
        own = [lengths[n] for n in batch]
        steps = next((n for n in range(1, len(own) + 1) if sum(own[:n]) >= TUNED_TOKENS), len(own))
        ordered.append(2 * sum(own[:steps]))
    assert [1 / one for one in speed.tuned] == pytest.approx([ordered[n % len(ordered)] for n in range(3)])


def test_memory_is_in_bytes_on_each_system(
    tiny_model: str, records: list[Record], project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux tells kilobytes, macOS bytes."""
    regime, spec = scoring_regime(load_params(project_root / "params.yaml"), 1), ModelSpec(tiny_model, "plain", 256)
    monkeypatch.setattr("resource.getrusage", lambda who: SimpleNamespace(ru_maxrss=5000))
    for system, expected in (("linux", 5_120_000), ("darwin", 5000)):
        monkeypatch.setattr("shed.valuation.costs.speed.sys", SimpleNamespace(platform=system))
        assert measure(spec, records, records, regime).memory == expected
