"""How a record becomes text and tokens: the plain form or the tokenizer's chat template, the response kept whole.

In: `Record`s and a tokenizer. Out: `Encoded` token lists with the place where the response begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.models.specs import Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LABELS = {"system": "", "user": "Question: ", "assistant": "Answer: "}  # of the plain form


@dataclass(frozen=True)
class Encoded:
    """A record's tokens.

    Attributes:
        tokens: prompt, then response.
        prompt_length: how many of them are the prompt; at least 1.
        cut: how many tokens were cut from the prompt's start.
    """

    tokens: tuple[int, ...]
    prompt_length: int
    cut: int

    @property
    def response_length(self) -> int:
        return len(self.tokens) - self.prompt_length


@dataclass(frozen=True)
class Encoder:
    """A tokenizer with all that decides a record's tokens.

    Attributes:
        form: the plain form or the tokenizer's chat template.
        max_tokens: context length. A prompt that does not fit is cut at its start, a response never.
        positions: how many the model has; a longer record cannot be tuned on.

    Raises:
        ShedError: the chat form is asked of a tokenizer without a chat template.
    """

    tokenizer: "PreTrainedTokenizerBase"
    form: Form
    max_tokens: int
    positions: int

    def __post_init__(self) -> None:
        if self.form == "chat" and not self.tokenizer.chat_template:
            raise ShedError(
                "the chat form needs a chat template, and this model's tokenizer has none; use plain", "prompt form"
            )

    @property
    def delimiter(self) -> str:
        """What stands between prompt and response."""
        return "" if self.form == "chat" else " "

    @property
    def opening(self) -> list[int]:
        """The beginning token, where the tokenizer puts one before a text; a chat template has its own."""
        return [] if self.form == "chat" else beginning(self.tokenizer)

    def prompt_text(self, record: Record) -> str:
        """The text before the response; in the plain form earlier turns precede it as questions and answers."""
        if self.form == "chat":
            messages = [{"role": role, "content": content} for role, content in record.messages[:-1]]
            text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            assert isinstance(text, str)
            return text
        return "\n".join(LABELS[role] + content for role, content in record.messages[:-1]) + "\nAnswer:"

    def response_tokens(self, response: str) -> list[int]:
        """The response with what stands before it."""
        return self.tokens(self.delimiter + response)

    def tokens(self, text: str) -> list[int]:
        """A text's tokens, without any that the tokenizer would add."""
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return found

    def encode(self, record: Record, *, end: bool) -> Encoded:
        """Tokens of one record.

        Args:
            end: append the tokenizer's end token, so that tuning teaches the model to stop; utilities leave it out.

        Raises:
            ShedError: the response is longer than the model has positions.
        """
        prompt = self.tokens(self.prompt_text(record))
        response = self.response_tokens(record.response)
        if end:
            response.append(self.tokenizer.eos_token_id)
        start = self.opening
        kept = prompt[-max(1, min(self.max_tokens, self.positions) - len(response) - len(start)) :]
        found = Encoded((*start, *kept, *response), len(start) + len(kept), len(prompt) - len(kept))
        if len(found.tokens) > self.positions:
            raise ShedError(
                f"record {record.id} ({record.origin}): its response has {found.response_length} tokens and the model "
                f"takes {self.positions}; shorten or remove it"
            )
        return found

    def encode_all(self, records: Iterable[Record], *, end: bool) -> list[Encoded]:
        """Tokens of many records, as `encode` makes them."""
        return [self.encode(record, end=end) for record in records]


def beginning(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The token that the tokenizer puts before a text by itself, if it does."""
    return [token for token in tokenizer.encode("")[:1] if token == tokenizer.bos_token_id]


def cut_counts(encoded: Sequence[Encoded], max_tokens: int) -> dict[str, int]:
    """How many prompts were cut, how many tokens that took, and how many records are still longer than `max_tokens`."""
    return {
        "prompts_cut": sum(one.cut > 0 for one in encoded),
        "prompt_tokens_cut": sum(one.cut for one in encoded),
        "longer_than_context": sum(len(one.tokens) > max_tokens for one in encoded),
    }
