"""One turn of a conversation, in the messages form or in ShareGPT's.

In: an object with `role` and `content`, or `from` and `value`. Out: a `Message`.
"""

import json
from collections.abc import Collection
from typing import Any

from shed.data.forms.characters import single_line
from shed.data.forms.placeholders import refuse_placeholders
from shed.data.forms.tools import calls_of
from shed.data.forms.values import Fields, SetAside, shown
from shed.data.records import Message, Role, canonical

ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "chatgpt", "bard", "bing", "bot"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "function_response", "ipython"), "tool"),
    **dict.fromkeys(("function_call", "tool_call", "tool_calls"), "assistant"),
}
CALLERS = ("function_call", "tool_call", "tool_calls")  # their text is a call
WEIGHTS = ("weight", "loss_weight", "train", "training")
REASONING = ("reasoning_content", "reasoning", "thinking")
ORDER = ("reasoning", "text", "call")  # in which a turn is written
PARTS = {
    **dict.fromkeys(("text", "input_text", "output_text"), "text"),
    **dict.fromkeys(("reasoning", "thinking"), "reasoning"),
    **dict.fromkeys(("tool_call", "tool_calls", "function_call"), "call"),
}


def turn_of(value: Any, ignored: Collection[str], untold_weight: float) -> Message:
    """The turn.

    Args:
        value: the object.
        ignored: keys that may stay unused.
        untold_weight: of an assistant's turn that has none of its own.

    Raises:
        SetAside: it is not an object of this form, or one of its keys is not used.
    """
    if not isinstance(value, dict):
        raise SetAside("a turn is not an object")
    fields = Fields(value, ignored)
    speaker = fields.text("role", "from").strip().lower()
    if speaker not in ROLES:
        raise SetAside(f"the role {shown(speaker)} is not known" if speaker else "a turn has no role")
    role = ROLES[speaker]
    content, reasoning, calls = _said(fields.take("content", "value"), role, speaker in CALLERS, ignored)
    apart = fields.text(*REASONING)
    if apart and reasoning:
        raise SetAside("a turn has reasoning both in its content and beside it")
    for key in ("tool_calls", "function_call"):
        calls += calls_of(fields.take(key), ignored)
    if role != "assistant" and (calls or apart or reasoning):
        raise SetAside("a turn that is not the assistant's has tool calls or reasoning")
    weight = _weight(fields, role, untold_weight)
    name, call_id = single_line(fields.text("name"), "a name"), single_line(fields.text("tool_call_id"), "the id of a call")
    fields.refuse_unused("a turn")
    if ignored:
        refuse_placeholders([content], {key: value[key] for key in fields.ignored})
    return Message(role, content, weight, apart or reasoning, canonical(calls), name, call_id)


def _weight(fields: Fields, role: Role, untold: float) -> float:
    told = {weight for key in WEIGHTS if (weight := fields.number(key)) is not None}
    if len(told) > 1:
        raise SetAside("a turn has two weights that differ")
    if role == "assistant":
        return told.pop() if told else untold
    if any(told):
        raise SetAside(f"a turn of the role {role} has a weight above 0; only the assistant's are trained")
    return 1.0  # it says nothing here


def _said(value: Any, role: Role, calls: bool, ignored: Collection[str]) -> tuple[str, str, list[dict[str, Any]]]:
    """Content, reasoning and calls of a turn's content."""
    if calls:
        return "", "", calls_of(value, ignored)
    if value is None or isinstance(value, str):
        return value or "", "", []
    if isinstance(value, list) and all(isinstance(part, str) or (isinstance(part, dict) and "type" in part) for part in value):
        return _joined(value, ignored)
    if role == "tool" and isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str), "", []
    raise SetAside("the content of a turn is neither text nor a list of typed parts")


def _joined(parts: list[Any], ignored: Collection[str]) -> tuple[str, str, list[dict[str, Any]]]:
    """Parts of one kind are joined with nothing between them, as chat templates do."""
    texts = {"text": "", "reasoning": ""}
    calls: list[dict[str, Any]] = []
    kinds = []
    for part in parts:
        fields = Fields({"type": "text", "text": part} if isinstance(part, str) else part, ignored)
        name = str(fields.take("type"))
        kind = PARTS.get(name)
        if kind is None:
            raise SetAside(f"a part of the type {shown(name)} is not read")
        if kind == "call":
            own = {key: given for key in ("id", "function", "name", "arguments") if (given := fields.take(key)) is not None}
            held = fields.take("value", "content", "text", "tool_call", "tool_calls", "function_call")
            if own and held is not None:
                raise SetAside("a tool call is given twice")
            calls += calls_of(own or held, ignored)
        else:
            texts[kind] += fields.text("text", "value", "content", *(REASONING if kind == "reasoning" else ()))
        fields.refuse_unused("a part of a turn's content")
        kinds.append(ORDER.index(kind))
    if kinds != sorted(kinds):
        raise SetAside("the parts of a turn stand in another order than reasoning, text, tool calls")
    return texts["text"], texts["reasoning"], calls
