"""Records are embedded in two parts and judged; a run that is stopped goes on, and leaves no vectors behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.models.specs import EmbedderSpec
from shed.selection.quality import of_records
from shed.selection.quality.of_records import prompt_fit_of, summary

SWAPPED = {0, 1}


@pytest.fixture
def pairs() -> list[Record]:
    """Each response says its prompt's words again; two of them are exchanged."""
    texts = [" ".join(f"w{(7 * n + k) % 300}" for k in range(4)) for n in range(40)]
    answers = [texts[1], texts[0], *texts[2:]]
    return [single_turn(text, answer, "web", f"row {n}") for n, (text, answer) in enumerate(zip(texts, answers, strict=True))]


@pytest.fixture
def embedder(tiny_embedder: str) -> EmbedderSpec:
    return EmbedderSpec(tiny_embedder, 8, "last_turn")


def test_records_are_judged_by_their_responses_beside_all_that_stands_before(
    pairs: list[Record], embedder: EmbedderSpec, tmp_path: Path
) -> None:
    fits = prompt_fit_of(pairs, embedder, {"name": "tiny"}, tmp_path, seed=1)
    assert set(np.argsort(fits)[:2]) == SWAPPED
    assert list(tmp_path.iterdir()) == []


def test_what_was_embedded_before_a_kill_is_not_embedded_again(
    pairs: list[Record], embedder: EmbedderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prompt_fit_of(pairs, embedder, {"name": "tiny"}, tmp_path / "other", seed=1)
    embed_to, parts = of_records.embed_to, list[str]()

    def stopped(path: Path, records: list[Record], spec: EmbedderSpec, *about: Any) -> Any:
        parts.append(spec.of)
        if parts == ["prompt", "response"]:
            raise KeyboardInterrupt
        return embed_to(path, records, spec, *about)

    monkeypatch.setattr(of_records, "embed_to", stopped)
    with pytest.raises(KeyboardInterrupt):
        prompt_fit_of(pairs, embedder, {"name": "tiny"}, tmp_path, seed=1)
    again = prompt_fit_of(pairs, embedder, {"name": "tiny"}, tmp_path, seed=1)
    assert parts == ["prompt", "response", "response"]
    np.testing.assert_array_equal(again, whole)


def test_vectors_of_other_records_or_another_embedder_are_not_taken(
    pairs: list[Record], embedder: EmbedderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(of_records, "prompt_fit", lambda *_: pytest.fail("stopped before it was judged"))
        with pytest.raises(pytest.fail.Exception):
            prompt_fit_of(pairs, embedder, {"name": "tiny"}, tmp_path, seed=1)
    left, parts = {path.name for path in tmp_path.glob("*.npy")}, list[str]()
    assert len(left) == 2
    monkeypatch.setattr(
        of_records, "embed_to", lambda path, records, spec, *_: parts.append(spec.of) or pytest.fail("embedded")
    )
    for own, manifest in ((pairs[1:], {"name": "tiny"}), (pairs, {"name": "tiny", "revision": "2"})):
        with pytest.raises(pytest.fail.Exception, match="embedded"):
            prompt_fit_of(own, embedder, manifest, tmp_path, seed=1)
    assert parts == ["prompt", "prompt"]
    prompt_fit_of(pairs, embedder, {"name": "tiny"}, tmp_path, seed=2)


def test_workers_embed_where_an_engine_is_given(
    pairs: list[Record], embedder: EmbedderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: list[Any] = []
    embed_to = of_records.embed_to

    def noted(path: Path, records: list[Record], spec: EmbedderSpec, manifest: Any, kept: Path, engine: Any) -> Any:
        engines.append(engine)
        return embed_to(path, records, spec, manifest, kept)

    monkeypatch.setattr(of_records, "embed_to", noted)
    engine: Any = object()
    prompt_fit_of(pairs, embedder, {"name": "tiny"}, tmp_path, 1, engine)
    assert engines == [engine, engine]


def test_one_record_is_refused_before_anything_is_embedded(
    pairs: list[Record], embedder: EmbedderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_records, "embed_to", lambda *_: pytest.fail("embedded"))
    with pytest.raises(ShedError, match="there are 1 records; give at least 2"):
        prompt_fit_of(pairs[:1], embedder, {"name": "tiny"}, tmp_path, seed=1)


def test_a_summary_counts_the_judged_and_shares_of_the_low() -> None:
    shares = {"share_below_a_quarter": 0.25, "share_below_a_half": 0.5, "share_below_three_quarters": 0.5}
    assert summary(np.array([0.1, 0.25, 0.75, 1.0])) == {"judged": 4, **shares}
    assert summary(np.array([])) == {"judged": 0}
