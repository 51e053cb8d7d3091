"""What the untuned model makes of records: its losses are its own, and padding changes nothing."""

import tracemalloc

import numpy as np
import pytest
import torch

from shed.data.records import Record
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec
from shed.selection import baselines, coverage, model_signals
from shed.selection.baselines import mean_cosine
from shed.selection.coverage import k_centre
from shed.selection.model_signals import nearest_rank, read

ROUNDING = 1e-7  # of a cosine in float32, which depends on the processor


def test_losses_are_those_of_the_model_and_do_not_depend_on_batches(
    tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(tiny_model, "plain", 128)
    found, loaded = read(records, spec), load_language_model(spec)
    one = loaded.encoder.encode(records[4], end=False)
    labels = torch.tensor([[-100] * one.prompt_length + list(one.tokens[one.prompt_length :])])
    with torch.no_grad():
        expected = loaded.model(torch.tensor([one.tokens]), labels=labels).loss
    assert found.loss[4] == pytest.approx(float(expected), rel=1e-5)
    assert found.ifd.shape == (12,)
    assert found.tokens > sum(len(one.tokens) for one in loaded.encoder.encode_all(records, end=False))
    np.testing.assert_allclose(np.linalg.norm(found.states, axis=1), 1, rtol=1e-5)
    monkeypatch.setattr(model_signals, "BATCH_TOKENS", 1)
    alone = read(records, spec)
    np.testing.assert_allclose(alone.loss, found.loss, rtol=1e-5)
    np.testing.assert_allclose(alone.states, found.states, atol=1e-5)


def test_dev_rows_take_their_nearest_in_turn() -> None:
    states = np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0]], dtype=np.float32)
    scores = nearest_rank(states, np.array([[1, 0], [0, 1]], dtype=np.float32))
    assert set(np.argsort(-scores)[:2]) == {0, 2}
    assert np.argmin(scores) == 3


def test_k_centre_leaves_near_copies_for_the_end() -> None:
    corners = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], dtype=np.float32)
    rows = np.vstack([corners, corners + 0.1])
    order = np.argsort(-k_centre(rows, seed=1))
    assert {int(i) % 4 for i in order[:4]} == {0, 1, 2, 3}
    assert sorted(k_centre(rows, seed=1).tolist()) == sorted(float(-i) for i in range(1, 9))


def unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, 8), dtype=np.float32)
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def test_signals_in_blocks_are_those_of_all_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, dev = unit_rows(200, 1), unit_rows(17, 2)
    whole = [mean_cosine(rows, dev), nearest_rank(rows, dev), k_centre(rows, 3)]
    for module in (baselines, model_signals):
        monkeypatch.setattr(module, "BLOCK_NUMBERS", 500)
    monkeypatch.setattr(coverage, "READ_AT_ONCE", 30)
    for all_at_once, in_blocks in zip(whole, [mean_cosine(rows, dev), nearest_rank(rows, dev), k_centre(rows, 3)], strict=True):
        np.testing.assert_allclose(in_blocks, all_at_once, rtol=1e-6, atol=ROUNDING)
    cosines = (rows @ dev.T).astype(np.float64)
    ranks = (-cosines).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    np.testing.assert_allclose(nearest_rank(rows, dev), cosines.max(axis=1) / 4 - ranks.min(axis=1), rtol=1e-6, atol=ROUNDING)


def test_likeness_to_many_dev_rows_takes_no_matrix_of_rows_and_dev_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (baselines, model_signals):
        monkeypatch.setattr(module, "BLOCK_NUMBERS", 1 << 14)
    rows, dev = unit_rows(10_000, 1), unit_rows(50, 2)
    for signal in (mean_cosine, nearest_rank):
        tracemalloc.start()
        signal(rows, dev)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10_000 * 50 * 4
