"""How a record becomes text and tokens: the plain form or the tokenizer's chat template, the response kept whole.

In: `Record`s and a tokenizer. Out: `Encoded` token lists with the place where the response begins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shed.errors import ShedError
from shed.records import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Form = Literal["plain", "chat"]


@dataclass(frozen=True)
class Encoded:
    """A record's tokens.

    Attributes:
        tokens: prompt then response.
        prompt_length: how many of them are the prompt; at least 1.
        cut: how many tokens were cut from the prompt's start.
    """

    tokens: tuple[int, ...]
    prompt_length: int
    cut: int

    @property
    def response_length(self) -> int:
        return len(self.tokens) - self.prompt_length


def render_prompt(record: Record, form: Form, tokenizer: "PreTrainedTokenizerBase") -> str:
    """The text before the response; in the plain form earlier turns of a conversation precede it as questions and answers."""
    if form == "chat":
        text = tokenizer.apply_chat_template(_as_dicts(record.messages[:-1]), add_generation_prompt=True, tokenize=False)
        assert isinstance(text, str)
        return text
    labels = {"system": "", "user": "Question: ", "assistant": "Answer: "}
    return "\n".join(labels[role] + content for role, content in record.messages[:-1]) + "\nAnswer:"


def delimiter(form: Form) -> str:
    """What stands between prompt and response."""
    return "" if form == "chat" else " "


def opening(tokenizer: "PreTrainedTokenizerBase", form: Form) -> list[int]:
    """The beginning token, where the tokenizer puts one before a text by itself; the chat form's template has its own."""
    return [] if form == "chat" else [token for token in tokenizer.encode("")[:1] if token == tokenizer.bos_token_id]


def encode(record: Record, tokenizer: "PreTrainedTokenizerBase", form: Form, max_tokens: int, *, end: bool) -> Encoded:
    """Tokens of one record, `opening` first; a prompt that does not fit is cut at its start, the response never.

    Args:
        max_tokens: context; a response that is longer than it is kept whole with one token of prompt.
        end: append the tokenizer's end token, so that tuning teaches the model to stop; utilities leave it out.
    """
    prompt = tokenizer.encode(render_prompt(record, form, tokenizer), add_special_tokens=False)
    response = tokenizer.encode(delimiter(form) + record.response, add_special_tokens=False)
    if end:
        response.append(tokenizer.eos_token_id)
    start = opening(tokenizer, form)
    kept = prompt[-max(1, max_tokens - len(response) - len(start)) :]
    return Encoded((*start, *kept, *response), len(start) + len(kept), len(prompt) - len(kept))


def encode_all(
    records: Iterable[Record], tokenizer: "PreTrainedTokenizerBase", form: Form, max_tokens: int, limit: int, *, end: bool
) -> list[Encoded]:
    """Tokens of many records.

    Args:
        limit: the positions the model has; nothing longer can be tuned on.

    Raises:
        ShedError: a response is longer than `limit`, or the chat form is asked of a tokenizer without a template.
    """
    if form == "chat" and not tokenizer.chat_template:
        raise ShedError("model.prompt is chat, but this model's tokenizer has no chat template; use plain")
    encoded = []
    for record in records:
        one = encode(record, tokenizer, form, min(max_tokens, limit), end=end)
        if len(one.tokens) > limit:
            raise ShedError(
                f"record {record.id} ({record.origin}): its response has {one.response_length} tokens and the model "
                f"takes {limit}; shorten or remove it"
            )
        encoded.append(one)
    return encoded


def cut_counts(encoded: list[Encoded], max_tokens: int) -> dict[str, int]:
    """How many prompts were cut, how many tokens that took, and how many responses were longer than the context."""
    return {
        "prompts_cut": sum(one.cut > 0 for one in encoded),
        "prompt_tokens_cut": sum(one.cut for one in encoded),
        "longer_than_context": sum(len(one.tokens) > max_tokens for one in encoded),
    }


def _as_dicts(messages: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in messages]
