"""Sentence embeddings of records, in memory.

In: records and an embedder's name. Out: (N, D) float32 unit rows, in the records' order, and how many texts were long.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.models.loading import load_embedder
from shed.models.specs import EmbeddedPart, EmbedderSpec

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Encoding, Tokenizer

TOKENISED_AT_ONCE = 1000  # texts; an encoding takes much more memory than its text


class Embedded(NamedTuple):
    """Vectors, and what they were made of.

    Attributes:
        vectors: (N, D) float32; every row has length 1.
        counts: `texts`; `texts_in_windows`, those longer than the embedder takes at once; `windows`, what these were split
            into; `tokens_mean` and `tokens_max` of all texts; `tokens_at_once`, what the embedder takes, or None for no limit.
    """

    vectors: np.ndarray
    counts: dict[str, float | None]


def text_of(record: Record, of: EmbeddedPart) -> str:
    """What of a record is embedded.

    Args:
        of: `prompt`: all before the response; `response`; `both`: the two; `last_turn`: the last user turn and what follows,
            which of a single-turn record is `both`, and which tells records apart that share a long system prompt.
    """
    if of == "prompt":
        return record.prompt
    if of == "response":
        return record.response
    users = [n for n, turn in enumerate(record.messages) if turn.role == "user"]
    first = users[-1] if of == "last_turn" and users else 0
    return "\n".join(turn.text for turn in record.messages[first:])


def embed(records: Sequence[Record], spec: EmbedderSpec) -> Embedded:
    """Embed a part of each record; sentence-transformers sorts texts by length, so batches hold little padding.

    A text that is longer than the embedder takes at once is split into windows, and none of it is lost; its vector is the mean
    of theirs, weighted by their tokens, at length 1.

    Raises:
        ShedError: the embedder has a tokenizer that cannot say which token stands for which characters.
    """
    embedder = Embedder(spec)
    vectors, tokens = embedder.embed(records, sys.stderr.isatty())
    return Embedded(vectors, embedder.counts(tokens))


class Embedder:
    """A loaded embedder, with what splits long texts for it."""

    def __init__(self, spec: EmbedderSpec) -> None:
        self._model = load_embedder(spec.name, spec.revision)
        self._tokenizer = _fast_tokenizer(self._model, spec.name)
        self._limit = _tokens_at_once(self._model, self._tokenizer)
        self._spec = spec

    @property
    def device(self) -> str:
        """The kind of device that it is on."""
        return str(self._model.device.type)

    def embed(self, records: Sequence[Record], bar: bool) -> tuple[np.ndarray, np.ndarray]:
        """(N, D) float32 unit rows, and (N, 2) int64: the tokens of each text, and its windows after the first."""
        limit = self._limit
        texts = [text_of(record, self._spec.of) for record in records]
        tokens = np.zeros((len(texts), 2), dtype=np.int64)
        rest: list[tuple[int, str, int]] = []  # windows after a text's first one: whose, text, tokens
        for n, encoding in enumerate(_encodings(self._tokenizer, texts)):
            further = list(_windows(texts[n], encoding, limit)) if limit is not None and len(encoding) > limit else []
            tokens[n] = len(encoding), len(further)
            rest += [(n, *window) for window in further]
        vectors = self._encode(texts, bar)  # the embedder itself stops at the first window's end
        if rest:
            owners, windows, weights = map(list, zip(*rest, strict=True))
            long = sorted(set(owners))
            vectors[long] *= limit
            np.add.at(vectors, owners, self._encode(windows, bar) * np.array(weights, dtype=np.float32)[:, None])
            vectors[long] /= np.maximum(np.linalg.norm(vectors[long], axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors, tokens

    def counts(self, tokens: np.ndarray) -> dict[str, float | None]:
        """See `Embedded.counts`."""
        lengths, further = tokens.T
        in_windows = int((further > 0).sum())
        return {
            "texts": len(tokens),
            "texts_in_windows": in_windows,
            "windows": in_windows + int(further.sum()),
            "tokens_mean": float(lengths.mean()) if len(tokens) else 0.0,
            "tokens_max": int(lengths.max(initial=0)),
            "tokens_at_once": self._limit,
        }

    def _encode(self, texts: list[str], bar: bool) -> np.ndarray:
        rows = self._model.encode(
            texts,
            batch_size=self._spec.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=bar,
        )
        return np.asarray(rows, dtype=np.float32)


def _fast_tokenizer(embedder: "SentenceTransformer", model: str) -> "Tokenizer":
    """A copy, since the embedder's own is set to cut and pad."""
    from tokenizers import Tokenizer

    tokenizer = getattr(embedder.tokenizer, "backend_tokenizer", embedder.tokenizer)
    if not isinstance(tokenizer, Tokenizer):
        raise ShedError(
            f"{model} has no fast tokenizer (tokenizer.json), by which long texts are split; use another embedder", "embedder"
        )
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _tokens_at_once(embedder: "SentenceTransformer", tokenizer: "Tokenizer") -> int | None:
    """How many tokens of a text the embedder reads, beside its control tokens and the prompt that it puts before each text."""
    most = embedder.max_seq_length
    if most is None or most == float("inf"):  # static embeddings have no limit
        return None
    before = (embedder.prompts or {}).get(embedder.default_prompt_name or "", "")
    own = len(tokenizer.encode(before, add_special_tokens=False).ids)
    return max(1, int(most) - tokenizer.num_special_tokens_to_add(False) - own)


def _encodings(tokenizer: "Tokenizer", texts: Sequence[str]) -> Iterator["Encoding"]:
    for start in range(0, len(texts), TOKENISED_AT_ONCE):
        yield from tokenizer.encode_batch(list(texts[start : start + TOKENISED_AT_ONCE]), add_special_tokens=False)


def _windows(text: str, encoding: "Encoding", limit: int) -> Iterator[tuple[str, int]]:
    """The windows of `limit` tokens after the first, with their tokens; a word that a window's end cuts begins the next one."""
    words, offsets = encoding.word_ids, encoding.offsets
    start, end = 0, limit
    while end < len(offsets):
        begin = end
        while begin > start and words[begin] is not None and words[begin] == words[begin - 1]:
            begin -= 1
        start = begin if begin > start else end  # a word longer than a window is cut
        end = min(start + limit, len(offsets))
        yield text[offsets[start][0] : offsets[end - 1][1]], end - start
