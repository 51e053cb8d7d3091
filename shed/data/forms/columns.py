"""Forms of one question and one response in columns of their own.

In: a row in the Alpaca form, Dolly's, question and answer, prompt and completion, or the user's own columns. Out: `Message`s.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from shed.data.forms.conversations import conversation
from shed.data.forms.tools import calls_of
from shed.data.forms.values import Fields, SetAside, from_json, is_empty, not_text
from shed.data.records import Message, canonical

BELOW = ("input", "context")  # texts that stand below the question, in this order, each after an empty line


@dataclass(frozen=True)
class Columns:
    """Names of columns; of several names for the same, a row has one.

    Attributes:
        prompt: what is asked.
        response: what is answered; not needed where there are choices.
    """

    prompt: tuple[str, ...]
    response: tuple[str, ...]


ALPACA = Columns(("instruction",), ("output",))
INSTRUCTION_RESPONSE = Columns(("instruction",), ("response",))
QUESTION_ANSWER = Columns(("question", "query"), ("answer", "answers", "response"))
PROMPT_COMPLETION = Columns(("prompt",), ("completion",))
OWN_COLUMNS = Columns(("prompt",), ("response",))


def columns_of(fields: Fields, columns: Columns, ignored: Collection[str]) -> list[Message]:
    """The turns of a row: its history, the question and the response.

    The prompt and the response may also be lists of messages: those of the prompt are not trained.

    Raises:
        SetAside: a column that must be text is not.
    """
    history = _history(fields.take("history"))
    prompt = fields.take(*columns.prompt)
    response = _response(fields, columns)
    below = [fields.text(name) for name in BELOW]
    if _are_turns(prompt, response) and not (history or any(text.strip() for text in below)):
        earlier = conversation(prompt, ignored, 0.0)
        if any(turn.trained for turn in earlier):
            raise SetAside("a turn of the prompt has a weight above 0")
        as_text = isinstance(prompt, list) and isinstance(response, str)
        later = [Message("assistant", response)] if as_text else conversation(response, ignored)
        return [*earlier, *later]
    calls = _calls(response) if not is_empty(fields.take("tools", "functions")) else []
    for names, value in ((columns.prompt, prompt), (columns.response, "" if calls else response)):
        if value is not None and not isinstance(value, str):
            key = next((key for name in names if (key := fields.key(name)) is not None), names[0])
            raise not_text(key, value)
    asked = "\n\n".join(text for text in dict.fromkeys((prompt or "", *below)) if text.strip())
    if calls:
        return [*history, Message("user", asked), Message("assistant", "", tool_calls=canonical(calls_of(calls, ignored)))]
    return [*history, Message("user", asked), Message("assistant", response or "")]


def _calls(response: Any) -> list[Any]:
    """The calls that a response is, as objects or as JSON text of them (xLAM); none if it is anything else."""
    if isinstance(response, str) and response.lstrip().startswith("["):
        try:
            response = from_json(response, "a tool call")
        except SetAside:
            return []
    if not isinstance(response, list) or not all(
        isinstance(call, dict) and {"name", "arguments"} <= set(call) for call in response
    ):
        return []
    return response


def _response(fields: Fields, columns: Columns) -> Any:
    """The response; of several accepted answers the first."""
    if not is_empty(fields.take("choices")) and "answer" in columns.response:
        response = fields.take(*(name for name in columns.response if name != "answer"))
    else:
        response = fields.take(*columns.response)
    if "answers" in columns.response:
        if isinstance(
            response, dict
        ):  # as in SQuAD: {"text": [...], "answer_start": [...]}; in TriviaQA: {"value": "...", ...}
            response = next((response[key] for key in ("text", "value") if key in response), response)
        if isinstance(response, list) and all(isinstance(text, str) for text in response):
            return response[0] if response else ""
    return response


def _are_turns(prompt: Any, response: Any) -> bool:
    """True for lists of messages, and for JSON text of two of them, as tables have it."""
    if isinstance(prompt, list):
        return True
    return all(isinstance(text, str) and text.startswith('[{"') and '"role"' in text for text in (prompt, response))


def _history(value: Any) -> list[Message]:
    """Earlier questions with their answers, which are trained like any other."""
    if is_empty(value):
        return []
    pairs = from_json(value, "`history`")
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs
    ):
        raise SetAside("`history` is not a list of pairs of texts")
    return [turn for ask, reply in pairs for turn in (Message("user", ask), Message("assistant", reply))]
