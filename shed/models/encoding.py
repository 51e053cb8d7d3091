"""How a record becomes tokens: the one place that all who tune, rate, measure or count go through.

In: `Record`s and a tokenizer. Out: `Encoded`, the tokens and the spans of them whose loss counts.

A record that does not fit the context is cut, in this order: whole earlier turns, from the first; the texts of what is not
trained, from their starts, down to a quarter of the context; the end of the response. What the form writes around a text, its
headers, stays.
"""

import itertools
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.models.rendering import Chat, Part, Plain, Rendered, Renderer
from shed.models.specs import Form
from shed.models.tokens import Tokeniser, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RENDERERS: dict[Form, type[Renderer]] = {"plain": Plain, "chat": Chat}
CUT_FIRST = ("user", "tool", "assistant", "system")  # whose texts are cut, in this order
LEAST_PROMPT = 4  # the prompt keeps a part of this of the context, if it is as long


class Span(NamedTuple):
    """Tokens `start` to `end` of a sequence, and what the loss of each counts."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Encoded:
    """A record's tokens.

    Attributes:
        tokens: the whole sequence.
        spans: what is trained or measured, in order; none begins at token 0.
        cut: how many tokens were cut from texts before the response.
        turns_cut: how many whole turns.
        response_cut: how many tokens from the response's end.
    """

    tokens: tuple[int, ...]
    spans: tuple[Span, ...]
    cut: int = 0
    turns_cut: int = 0
    response_cut: int = 0

    @property
    def prompt_length(self) -> int:
        """How many tokens stand before the first response."""
        return self.spans[0].start

    @property
    def response_length(self) -> int:
        """How many tokens have a loss that counts."""
        return sum(span.end - span.start for span in self.spans)

    @property
    def response_weight(self) -> float:
        """What they count together: `response_length`, unless a record says otherwise of a turn."""
        return sum((span.end - span.start) * span.weight for span in self.spans)

    @property
    def places(self) -> list[int]:
        """The tokens whose loss counts."""
        return [place for span in self.spans for place in range(span.start, span.end)]

    @property
    def weights(self) -> list[float]:
        """What the loss of each of `places` counts."""
        return [span.weight for span in self.spans for _ in range(span.start, span.end)]


@dataclass(frozen=True)
class Encoder:
    """A tokenizer with all that decides a record's tokens.

    Attributes:
        form: the plain form or the tokenizer's chat template.
        max_tokens: context length; what is longer is cut.
        positions: how many the model has.

    Raises:
        ShedError: the chat form is asked of a tokenizer without a chat template, or the tokenizer cannot say which characters a
            token stands for.
    """

    tokenizer: "PreTrainedTokenizerBase"
    form: Form
    max_tokens: int
    positions: int

    def __post_init__(self) -> None:
        if not self.tokenizer.is_fast:
            raise ShedError(
                "the model's tokenizer is not a fast one (tokenizer.json is missing), and only such are read", "model"
            )
        _ = self.renderer

    @cached_property
    def renderer(self) -> Renderer:
        """What writes records as text."""
        return RENDERERS[self.form](self.tokenizer)

    @cached_property
    def tokeniser(self) -> Tokeniser:
        """What makes tokens of such texts."""
        return Tokeniser(self.tokenizer, self.renderer.control_tokens)

    @property
    def limit(self) -> int:
        """The longest sequence, in tokens."""
        return min(self.max_tokens, self.positions)

    @cached_property
    def opening(self) -> tuple[int, ...]:
        """The beginning token, where the tokenizer puts one before a text; a chat template writes its own."""
        return () if self.form == "chat" else tuple(beginning(self.tokenizer))

    @cached_property
    def stops(self) -> list[int]:
        """The tokens at which an answer ends: what closes a turn, and the tokenizer's end token."""
        names = {self.renderer.close, str(self.tokenizer.eos_token or "")} - {""}
        return sorted(self.tokenizer.convert_tokens_to_ids(name) for name in names)

    def encode(self, record: Record, *, end: bool) -> Encoded:
        """Tokens of one record, all of whose trained turns count.

        Args:
            end: what closes a turn counts, too, so that tuning teaches the model to stop; utilities leave it out.

        Raises:
            ShedError: the form cannot hold the record, or none of what is trained fits the context.
        """
        with _naming(record):
            return self._encode(record, end, [n for n, turn in enumerate(record.messages) if turn.trained])

    def encode_all(self, records: Iterable[Record], *, end: bool) -> list[Encoded]:
        """Tokens of many records, as `encode` makes them."""
        return [self.encode(record, end=end) for record in records]

    def encode_options(self, record: Record) -> list[Encoded]:
        """Tokens of the record with each of its choices as the response, which alone counts."""
        last = len(record.messages) - 1
        variants = (record.with_response(choice) for choice in record.choices)
        with _naming(record):
            return [self._encode(variant, False, [last]) for variant in variants]

    def prompt_tokens(self, record: Record, room: int) -> list[int]:
        """What the model is given to write the response to, at most `room` tokens."""
        written = self.renderer.prompt(record)
        tokens = self.tokeniser.tokens(written)
        excess = len(self.opening) + len(tokens.ids) - room
        gone = set(itertools.islice(_cuttable(record, written.parts, tokens, ()), max(0, excess)))
        return [*self.opening, *(token for n, token in enumerate(tokens.ids) if n not in gone)][-room:]

    def unfit(self, record: Record) -> str | None:
        """Why the form cannot hold this record or the context nothing of its response, or None."""
        said = sum(len(turn.content) for turn in record.messages)
        try:
            if self.form == "plain" and len(record.tools) < self.limit // LEAST_PROMPT:
                return None  # nothing but labels stands around the texts
            around = len(self.renderer.whole(record).text) - said
            if around >= self.limit // LEAST_PROMPT:
                self._encode(record, True, [n for n, turn in enumerate(record.messages) if turn.trained])
        except ShedError as error:
            return str(error)
        return None

    def _encode(self, record: Record, end: bool, counted: Sequence[int]) -> Encoded:
        whole, written, tokens = self._fitted(record)
        moved = len(record.messages) - len(whole.messages)
        own = {n - moved: record.messages[n].weight for n in counted if n - moved >= _systems(record)}
        weights = [0.0] * len(tokens.ids)
        for part in written.parts:
            if part.turn in own:
                places = tokens.touching(part.start, part.closed if end else part.end)
                weights[places.start : places.stop] = [own[part.turn]] * len(places)
        length = max((n + 1 for n, weight in enumerate(weights) if weight), default=0)
        room = self.limit - len(self.opening)
        spare = weights[:length].count(0.0) - room // LEAST_PROMPT
        gone = set(itertools.islice(_cuttable(whole, written.parts, tokens, own), max(0, min(length - room, spare))))
        kept = [n for n in range(length) if n not in gone][:room]
        spans = tuple(_spans([0.0] * len(self.opening) + [weights[n] for n in kept]))
        if not spans:
            raise ShedError(f"nothing of its response fits into {self.limit} tokens")
        sequence = (*self.opening, *(tokens.ids[n] for n in kept))
        return Encoded(sequence, spans, len(gone), moved, length - len(gone) - len(kept))

    def _fitted(self, record: Record) -> tuple[Record, Rendered, Tokens]:
        """The record without as many of its first turns as must go for the rest to fit, its text and tokens."""
        while True:
            written = self.renderer.whole(record)
            tokens = self.tokeniser.tokens(written)
            later = _without_first_turns(record)
            if later is None or len(self.opening) + len(tokens.ids) <= self.limit:
                return record, written, tokens
            record = later


def beginning(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The token that the tokenizer puts before a text by itself, if it does."""
    return [token for token in tokenizer.encode("")[:1] if token == tokenizer.bos_token_id]


@contextmanager
def _naming(record: Record) -> Iterator[None]:
    """Say in an error which record it is of."""
    try:
        yield
    except ShedError as error:
        raise ShedError(f"record {record.id} ({record.origin}): {error}") from error


def cut_counts(encoded: Sequence[Encoded]) -> dict[str, int]:
    """How much did not fit the context: records and tokens, of prompts and of responses, and whole turns."""
    return {
        "prompts_cut": sum(one.cut > 0 or one.turns_cut > 0 for one in encoded),
        "prompt_tokens_cut": sum(one.cut for one in encoded),
        "turns_cut": sum(one.turns_cut for one in encoded),
        "responses_cut": sum(one.response_cut > 0 for one in encoded),
        "response_tokens_cut": sum(one.response_cut for one in encoded),
    }


def token_lengths(encoder: Encoder, records: Sequence[Record], most: int = 500) -> dict[str, float]:
    """How long records are, from the first `most` of them: tokens as they are read, and the shares that are cut to fit, of
    all records and of their responses."""
    encoded = encoder.encode_all(records[:most], end=True)
    lengths = [len(one.tokens) for one in encoded]
    cut = sum(bool(one.cut or one.turns_cut or one.response_cut) for one in encoded)
    return {
        "tokens_mean": sum(lengths) / len(lengths),
        "tokens_max": max(lengths),
        "share_cut": cut / len(lengths),
        "share_response_cut": sum(bool(one.response_cut) for one in encoded) / len(lengths),
    }


def _cuttable(record: Record, parts: Sequence[Part], tokens: Tokens, counted: Container[int]) -> Iterator[int]:
    """Tokens of texts that do not count, in the order in which they are cut."""
    for role in CUT_FIRST:
        for part in parts:
            if part.turn not in counted and record.messages[part.turn].role == role:
                yield from tokens.within(part.start, part.end)


def _systems(record: Record) -> int:
    """How many turns of the system begin the record."""
    return sum(1 for _ in itertools.takewhile(lambda turn: turn.role == "system", record.messages))


def _without_first_turns(record: Record) -> Record | None:
    """The record from the second turn of the user on, with the system's before it; None if there is none."""
    first = _systems(record)
    later = [n for n in range(first + 1, len(record.messages)) if record.messages[n].role == "user"]
    return replace(record, messages=(*record.messages[:first], *record.messages[later[0] :])) if later else None


def _spans(weights: Sequence[float]) -> Iterator[Span]:
    at = 0
    for weight, run in itertools.groupby(weights):
        length = len(list(run))
        if weight:
            yield Span(at, at + length, weight)
        at += length
