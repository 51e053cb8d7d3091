"""When two records are equal: only case, spacing and Unicode form may differ.

In: a `Record` or a text. Out: digests that are equal for equal records and for equal prompts; `shed.data.preparation` keeps the
digests and not the texts, since a pool may hold hundreds of thousands.
"""

import hashlib
import json
import unicodedata
from typing import Any

from shed.data.records import Record

KEY_BYTES = 16
CALL, PART, FIELD = "\x1d", "\x1e", "\x1f"  # separators that count as white space, so that no normalised text holds one


def normalise(text: str) -> str:
    """Lower case, Unicode's composed form (NFC), and each run of white space as one space.

    Nothing else falls, since anything else may be the meaning: signs (`7 + 2`, `7 - 2`; C, C#), emoji, accents. NFC joins an
    accent that is written apart from its letter; NFKC would also make `x²` equal to `x2`. Lower case and not case folding,
    which would make `Maße` (measures) equal to `Masse` (mass).
    """
    if text.isascii():  # as NFC leaves it
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower()).split())


def content_key(record: Record) -> bytes:
    """16 bytes, equal for records that a reader would call copies.

    All that a record says enters: each turn's role, text, reasoning, tool calls and tool, whether it is trained, the tools, the
    choices and the answer. A call's arbitrary id does not, nor the source.
    """
    turns = (
        FIELD.join(
            (turn.role, *map(normalise, (turn.content, turn.reasoning, turn.name)), _calls(turn.tool_calls), str(turn.trained))
        )
        for turn in record.messages
    )
    choices = FIELD.join(normalise(choice) for choice in record.choices)
    return _digest(PART.join((*turns, normalise(record.tools), choices, str(record.answer))))


def text_key(text: str) -> bytes:
    """16 bytes, equal for texts that differ in case, spacing or Unicode form alone."""
    return _digest(normalise(text))


def prompt_key(record: Record) -> bytes:
    """The `text_key` of everything before the response."""
    return text_key(record.prompt)


def prompt_keys(record: Record) -> list[bytes]:
    """The `text_key` of everything before each turn that is trained, and last that of the whole prompt.

    A model that is tuned on a conversation learns to answer each of these. A turn that nothing stands before has none.
    """
    ends = [n for n, turn in enumerate(record.messages[:-1]) if turn.trained]
    texts = ("\n".join(turn.text for turn in record.messages[:end]) for end in ends)
    return [*(text_key(text) for text in texts if text.strip()), prompt_key(record)]


def _calls(tool_calls: str) -> str:
    if not tool_calls:
        return ""
    calls = [call.get("function", call) for call in json.loads(tool_calls)]
    said = (part for call in calls for part in (str(call.get("name", "")), _arguments(call.get("arguments"))))
    return CALL.join(normalise(part) for part in said)


def _arguments(value: Any) -> str:
    """One text for arguments that are an object and for the same as JSON text."""
    try:
        return json.dumps(json.loads(value) if isinstance(value, str) else value, ensure_ascii=False, sort_keys=True)
    except (ValueError, RecursionError):  # some models write arguments that are not JSON; they stay text
        return str(value)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()
