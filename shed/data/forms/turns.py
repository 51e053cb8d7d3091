"""One turn of a conversation, in the messages form or in ShareGPT's.

In: an object with `role` and `content`, `from` and `value`, `role` and `parts` (Gemini), or `sender` and `text` (exports of
Claude). Out: a `Message`.
"""

import json
from collections.abc import Collection
from typing import Any

from shed.data.forms.characters import single_line
from shed.data.forms.placeholders import refuse_placeholders
from shed.data.forms.tools import calls_of
from shed.data.forms.values import Fields, SetAside, not_text, shown
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
SPEAKERS = (("role", "from"), ("sender",))  # the first that a turn has are looked at
CONTENTS = (("content", "value"), ("parts",), ("text",))
ORDER = ("reasoning", "text", "call")  # in which a turn is written
PARTS = {
    **dict.fromkeys(("text", "input_text", "output_text"), "text"),
    **dict.fromkeys(("reasoning", "thinking"), "reasoning"),
    **dict.fromkeys(("tool_call", "tool_calls", "function_call"), "call"),
}
CALL = "; write it under `tool_calls` of the turn"
RESULT = "; write it as a turn of the role tool"
WRITTEN = {"tool_use": CALL, "functionCall": CALL, "tool_result": RESULT, "functionResponse": RESULT}  # Anthropic's, Gemini's


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
    speaker = fields.text(*_first(fields, SPEAKERS)).strip().lower()
    if speaker not in ROLES:
        raise SetAside(f"the role {shown(speaker)} is not known" if speaker else "a turn has no role")
    role = ROLES[speaker]
    held = _first(fields, CONTENTS)
    content, reasoning, calls = _said(fields.take(*held), role, speaker in CALLERS, ignored, untyped="parts" in held)
    apart = fields.text(*REASONING)
    if apart and reasoning:
        raise SetAside("a turn has reasoning both in its content and beside it")
    for key in ("tool_calls", "function_call"):
        calls += calls_of(fields.take(key), ignored)
    if role != "assistant" and (calls or apart or reasoning):
        raise SetAside("a turn that is not the assistant's has tool calls or reasoning")
    weight = _weight(fields, role, untold_weight, ignored)
    name, call_id = single_line(fields.text("name"), "a name"), single_line(fields.text("tool_call_id"), "the id of a call")
    fields.refuse_unused("a turn", (content,))
    if ignored:
        refuse_placeholders([content], {key: value[key] for key in fields.ignored})
    return Message(role, content, weight, apart or reasoning, canonical(calls), name, call_id)


def _first(fields: Fields, names: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return next((alike for alike in names if fields.has(*alike)), names[0])


def _weight(fields: Fields, role: Role, untold: float, ignored: Collection[str]) -> float:
    told = {weight for key in WEIGHTS if key not in ignored and (weight := fields.number(key)) is not None}
    if len(told) > 1:
        raise SetAside("a turn has two weights that differ")
    if role == "assistant":
        return told.pop() if told else untold
    if any(told):
        raise SetAside(
            f"a turn of the role {role} has a weight above 0; only the assistant's are trained; "
            "make it 0, or ignore its key, then all the assistant's are trained alike",
            "ignored keys",
        )
    return 1.0  # it says nothing here


def _said(
    value: Any, role: Role, calls: bool, ignored: Collection[str], *, untyped: bool
) -> tuple[str, str, list[dict[str, Any]]]:
    """Content, reasoning and calls of a turn's content; `untyped`: its parts may have no type."""
    if calls:
        return "", "", calls_of(value, ignored)
    if value is None or isinstance(value, str):
        return value or "", "", []
    if isinstance(value, list) and all(_is_part(part, untyped=untyped) for part in value):
        return _joined(value, ignored)
    if role == "tool" and isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str), "", []
    raise SetAside("the content of a turn is neither text nor a list of typed parts")


def _is_part(part: Any, *, untyped: bool = False) -> bool:
    if not isinstance(part, dict):
        return isinstance(part, str)
    return "type" in part or (untyped and _untyped(part) is not None)


def _untyped(part: dict[str, Any]) -> str | None:
    """The type of a part as Gemini has it, whose key says it: `{"text": …}`, `{"functionCall": …}`."""
    if "text" in part:
        return "reasoning" if part.get("thought") is True else "text"
    return next((key for key, value in part.items() if isinstance(value, dict)), None)


def _joined(parts: list[Any], ignored: Collection[str]) -> tuple[str, str, list[dict[str, Any]]]:
    """Parts of one kind are joined with nothing between them, as chat templates do."""
    texts = {"text": "", "reasoning": ""}
    calls: list[dict[str, Any]] = []
    typed = [{"type": "text", "text": part} if isinstance(part, str) else {"type": _untyped(part), **part} for part in parts]
    names = [str(part["type"]) for part in typed]
    if name := next((name for name in names if name not in PARTS), None):  # before what else is wrong: it decides
        raise SetAside(f"a part of the type {shown(name)} is not read{WRITTEN.get(name, '')}")
    kinds = [PARTS[name] for name in names]
    for kind, part in zip(kinds, typed, strict=True):
        fields = Fields(part, ignored)
        fields.take("type")
        if kind == "call":
            own = {key: given for key in ("id", "function", "name", "arguments") if (given := fields.take(key)) is not None}
            held = fields.take("value", "content", "text", "tool_call", "tool_calls", "function_call")
            if own and held is not None:
                raise SetAside("a tool call is given twice")
            calls += calls_of(own or held, ignored)
        else:
            texts[kind] += _text_of(fields, kind, ignored)
        fields.refuse_unused("a part of a turn's content")
    if kinds != sorted(kinds, key=ORDER.index):
        raise SetAside("the parts of a turn stand in another order than reasoning, text, tool calls")
    return texts["text"], texts["reasoning"], calls


def _text_of(fields: Fields, kind: str, ignored: Collection[str]) -> str:
    """The text of a part; that of reasoning may be parts of text itself, as Mistral has it."""
    names = ("text", "value", "content", *(REASONING if kind == "reasoning" else ()))
    value = fields.take(*names)
    if kind != "reasoning" or not isinstance(value, list):
        return fields.text(*names)
    if not all(map(_is_part, value)):
        raise not_text(next(name for name in names if fields.has(name)), value)
    text, reasoning, calls = _joined(value, ignored)
    if calls:
        raise SetAside("a part of the type reasoning holds a tool call")
    return reasoning + text
