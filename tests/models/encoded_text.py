"""Records and encoders of small tokenizers, and encoded records as text, for stories of encoding."""

import tiny_tokenizers
from tiny_tokenizers import Kind

from shed.data.records import Message, Record, single_turn
from shed.models.encoding import Encoded, Encoder
from shed.models.specs import Form

QUESTION = single_turn("What is the capital of Norway?", "Oslo", "s", "o")
SUMS = Record(
    (Message("user", "2+2?"), Message("assistant", "4"), Message("user", "3+3?"), Message("assistant", "6")), "s", "o"
)
CALL = '[{"type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 3}"}}]'
TOOLS = '[{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {}}}]'
TOOL_USE = Record(
    (
        Message("user", "3+3?"),
        Message("assistant", "", reasoning="I add.", tool_calls=CALL),
        Message("tool", "6"),
        Message("assistant", "It is 6.", reasoning="Done."),
    ),
    "s",
    "o",
    tools=TOOLS,
)


def encoder(kind: Kind, form: Form = "plain", max_tokens: int = 500) -> Encoder:
    return Encoder(tiny_tokenizers.tokenizer(kind), form, max_tokens, 512)


def shown(own: Encoder, one: Encoded) -> str:
    """The tokens as text, what is trained in brackets."""
    text, at = "", 0
    for span in one.spans:
        text += own.tokenizer.decode(one.tokens[at : span.start])
        text += f"[{own.tokenizer.decode(one.tokens[span.start : span.end])}]"
        at = span.end
    return text + own.tokenizer.decode(one.tokens[at:])
