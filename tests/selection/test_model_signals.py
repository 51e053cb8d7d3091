"""What the untuned model makes of records: its losses are its own, and padding changes nothing."""

import numpy as np
import pytest
import torch

from shed.data.records import Record
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec
from shed.selection import model_signals
from shed.selection.coverage import k_centre
from shed.selection.model_signals import nearest_rank, read


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
