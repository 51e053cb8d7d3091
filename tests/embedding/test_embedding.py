"""Vectors that tell records apart, of texts of any length."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from shed.common.arrays import map_array
from shed.common.atomic_io import write_array
from shed.common.errors import ShedError
from shed.data.records import Message, Record, single_turn
from shed.embedding import blocks, embedder
from shed.embedding.blocks import embed_to
from shed.embedding.embedder import embed, text_of
from shed.models.loading import load_embedder
from shed.models.specs import EmbeddedPart, EmbedderSpec

WINDOW = 16  # tokens that `tiny_embedder` takes at once, of which two are the embedder's own


def words(first: int, count: int) -> str:
    return " ".join(f"w{n}" for n in range(first, first + count))


def alone(model: str, texts: list[str]) -> np.ndarray:
    return np.asarray(load_embedder(model).encode(texts, batch_size=4, normalize_embeddings=True, show_progress_bar=False))


def test_each_part_of_a_record_can_be_embedded() -> None:
    turns = (
        Message("system", "be kind"),
        Message("user", "one"),
        Message("assistant", "two"),
        Message("user", "three"),
        Message("assistant", "", tool_calls='[{"function": {"name": "four"}}]'),
        Message("tool", "five"),
        Message("assistant", "six"),
    )
    record = Record(turns, "s", "o")
    assert text_of(record, "prompt") == record.prompt
    assert text_of(record, "response") == "six"
    assert text_of(record, "both") == f"{record.prompt}\nsix"
    assert text_of(record, "last_turn") == 'three\n[{"name": "four"}]\nfive\nsix'
    single = single_turn("one", "two", "s", "o")
    assert text_of(single, "last_turn") == text_of(single, "both") == "one\ntwo"


def test_a_text_that_fits_has_the_very_vector_of_the_embedder_whatever_stands_beside_it(tiny_embedder: str) -> None:
    records = [single_turn(words(n, 1 + n % 5), words(n, 1 + 3 * n), "s", str(n)) for n in range(10)]
    vectors, counts = embed(records, EmbedderSpec(tiny_embedder, 4, "both"))
    plain = alone(tiny_embedder, [f"{record.prompt}\n{record.response}" for record in records])
    lengths = [1 + n % 5 + 1 + 3 * n for n in range(10)]
    fits = [length <= WINDOW - 2 for length in lengths]
    assert 0 < sum(fits) < 10
    assert [bool(same) for same in (vectors == plain).all(axis=1)] == fits
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert vectors.dtype == np.float32
    assert counts == {
        "texts": 10,
        "texts_in_windows": 10 - sum(fits),
        "windows": sum(-(-length // (WINDOW - 2)) for length in lengths if length > WINDOW - 2),
        "tokens_mean": sum(lengths) / 10,
        "tokens_max": max(lengths),
        "tokens_at_once": WINDOW - 2,
    }


def test_a_long_text_is_the_mean_of_its_windows_by_their_tokens(tiny_embedder: str) -> None:
    window = WINDOW - 2
    vectors, counts = embed(
        [single_turn("say", words(0, 2 * window + 4), "s", "o")], EmbedderSpec(tiny_embedder, 4, "response")
    )
    parts = alone(tiny_embedder, [words(0, window), words(window, window), words(2 * window, 4)])
    mean = window * parts[0] + window * parts[1] + 4 * parts[2]
    np.testing.assert_allclose(vectors[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert counts["windows"] == 3


def test_a_word_that_a_window_cuts_begins_the_next_one(tiny_embedder: str) -> None:
    window = WINDOW - 2
    text = f"{words(0, window - 1)} oneonetwo {words(50, 3)}"  # `oneonetwo` is three tokens, of which one fits
    vectors, _ = embed([single_turn("say", text, "s", "o")], EmbedderSpec(tiny_embedder, 4, "response"))
    first, second = alone(tiny_embedder, [f"{words(0, window - 1)} one", f"oneonetwo {words(50, 3)}"])
    mean = window * first + 6 * second
    np.testing.assert_allclose(vectors[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_a_word_longer_than_a_window_is_cut_and_its_end_still_counts(tiny_embedder: str) -> None:
    texts = ["one" * 32 + end for end in ("one", "two")]
    vectors, counts = embed([single_turn("say", text, "s", "o") for text in texts], EmbedderSpec(tiny_embedder, 4, "response"))
    assert counts["tokens_max"] == 33
    assert not np.allclose(vectors[0], vectors[1], atol=1e-4)


def test_records_behind_one_long_system_prompt_are_told_apart(tiny_embedder: str) -> None:
    system = Message("system", words(100, 100))
    records = [
        Record((system, Message("user", words(10 * n, 3)), Message("assistant", "say it")), "tools", str(n)) for n in range(6)
    ]
    cut = alone(tiny_embedder, [record.prompt for record in records])
    np.testing.assert_allclose(cut @ cut.T, 1, atol=1e-5)  # what an embedder alone makes of them: one vector
    pairs = np.triu_indices(6, 1)
    both, last = (embed(records, EmbedderSpec(tiny_embedder, 4, of)).vectors for of in ("both", "last_turn"))
    assert (both @ both.T)[pairs].max() < 1 - 5e-5
    assert (last @ last.T)[pairs].max() < (both @ both.T)[pairs].min()


def test_the_same_records_have_the_same_vectors_twice_and_none_have_none(tiny_embedder: str) -> None:
    records = [single_turn(words(n, 20), words(n, 9), "s", str(n)) for n in range(9)]
    first, second = (embed(records, EmbedderSpec(tiny_embedder, 4, "both")) for _ in range(2))
    assert (first.vectors == second.vectors).all()
    assert len(embed([], EmbedderSpec(tiny_embedder, 4, "both")).vectors) == 0


def test_static_embeddings_have_no_limit_and_no_windows(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, **{f"w{n}": n for n in range(1, 300)}}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)]).save(str(tmp_path))
    vectors, counts = embed([single_turn("w1", words(1, 250), "s", "o")], EmbedderSpec(str(tmp_path), 4, "response"))
    np.testing.assert_allclose(vectors, alone(str(tmp_path), [words(1, 250)]))
    assert (counts["windows"], counts["tokens_max"], counts["tokens_at_once"]) == (0, 250, None)


def test_an_embedder_whose_tokenizer_does_not_say_where_tokens_stand_is_refused(
    tiny_embedder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = load_embedder(tiny_embedder)
    monkeypatch.setattr("shed.embedding.embedder.load_embedder", lambda name, revision: embedder)
    monkeypatch.setattr(type(embedder), "tokenizer", "none")
    with pytest.raises(ShedError, match="has no fast tokenizer") as error:
        embed([single_turn("say", "it", "s", "o")], EmbedderSpec(tiny_embedder, 4, "both"))
    assert error.value.setting == "embedder"


@pytest.fixture
def pool() -> list[Record]:
    """Ten records, of which some are longer than a window."""
    return [single_turn(words(n, 1 + n % 5), words(n, 1 + 3 * n), "s", str(n)) for n in range(10)]


class Stopped(Exception):
    """The run was killed."""


def count_texts(monkeypatch: pytest.MonkeyPatch, most: int | None = None) -> list[str]:
    """The texts of records that are embedded from now on; the run is killed before there are more than `most`."""
    seen: list[str] = []

    def counted(record: Record, of: EmbeddedPart) -> str:
        if len(seen) == most:
            raise Stopped
        seen.append(record.origin)
        return text_of(record, of)

    monkeypatch.setattr(embedder, "text_of", counted)
    return seen


def test_a_file_of_one_block_is_what_embed_gives_to_the_byte(tiny_embedder: str, pool: list[Record], tmp_path: Path) -> None:
    spec = EmbedderSpec(tiny_embedder, 4, "both")
    vectors, counts = embed(pool, spec)
    write_array(tmp_path / "whole.npy", vectors)
    assert embed_to(tmp_path / "blocks.npy", pool, spec, {}, tmp_path / "kept") == counts
    assert (tmp_path / "blocks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_run_that_was_killed_goes_on_at_the_block_where_it_was(
    tiny_embedder: str, pool: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 3)
    spec, kept, path = EmbedderSpec(tiny_embedder, 4, "both"), tmp_path / "kept", tmp_path / "vectors.npy"
    count_texts(monkeypatch, most=7)
    with pytest.raises(Stopped):
        embed_to(path, pool, spec, {"name": "tiny"}, kept)
    assert not path.exists()
    seen = count_texts(monkeypatch)
    counts = embed_to(path, pool, spec, {"name": "tiny"}, kept)
    assert seen == [str(n) for n in range(6, 10)]
    whole = embed(pool, spec)
    assert counts == whole.counts
    np.testing.assert_allclose(map_array(path), whole.vectors, atol=1e-6)


@pytest.mark.parametrize(
    ("order", "of", "revision", "anew"),
    [
        (range(10), "both", "2", 10),
        (range(10), "response", "1", 10),
        ((*range(1, 10), 0), "both", "1", 10),
        ((*range(5), *range(9, 4, -1)), "both", "1", 5),
    ],
    ids=["another embedder", "another part", "other blocks", "one block of two"],
)
def test_only_blocks_of_the_same_embedder_part_and_records_are_taken(
    tiny_embedder: str, pool: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    order: Sequence[int], of: EmbeddedPart, revision: str, anew: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(blocks, "BLOCK", 5)
    count_texts(monkeypatch, most=7)
    path, kept = tmp_path / "vectors.npy", tmp_path / "kept"
    with pytest.raises(Stopped):
        embed_to(path, pool, EmbedderSpec(tiny_embedder, 4, "both"), {"revision": "1"}, kept)
    records, spec = [pool[n] for n in order], EmbedderSpec(tiny_embedder, 4, of)
    seen = count_texts(monkeypatch)
    embed_to(path, records, spec, {"revision": revision}, kept)
    assert len(seen) == anew
    np.testing.assert_allclose(map_array(path), embed(records, spec).vectors, atol=1e-6)
