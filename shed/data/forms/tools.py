"""Tools and calls of tools, in the standard form.

In: tools or calls as data sets write them: objects or JSON text, with or without `{"type": "function", "function": …}` around.
Out: JSON text of a list in OpenAI's form, in which a call's arguments are an object.
"""

from collections.abc import Collection
from typing import Any

from shed.data.forms.values import Fields, SetAside, from_json, is_empty, shown
from shed.data.records import canonical


def tools_of(value: Any) -> str:
    """The tools that the assistant may call, for `Record.tools`; all that is said of each is kept.

    Raises:
        SetAside: it is not a list of objects with a name.
    """
    if is_empty(value):
        return ""
    listed = from_json(value, "`tools`")
    tools = []
    for item in listed if isinstance(listed, list) else [listed]:
        tool = from_json(item, "a tool")
        if not isinstance(tool, dict):
            raise SetAside("a tool is not an object")
        if "function" not in tool:
            tool = {"type": "function", "function": {key: part for key, part in tool.items() if (key, part) != FUNCTION}}
        function = tool["function"]
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
            raise SetAside("a tool has no name")
        tools.append(tool)
    return canonical(tools)


FUNCTION = ("type", "function")


def calls_of(value: Any, ignored: Collection[str]) -> list[dict[str, Any]]:
    """Calls of tools: one, or a list.

    Raises:
        SetAside: one is not an object with a name and arguments that are an object.
    """
    if is_empty(value):
        return []
    listed = from_json(value, "a tool call")
    return [_call(from_json(item, "a tool call"), ignored) for item in (listed if isinstance(listed, list) else [listed])]


def _call(value: Any, ignored: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SetAside("a tool call is not an object")
    outer = Fields(value, ignored)
    kind, inner = outer.take("type"), from_json(outer.take("function"), "a tool call")
    if kind not in (None, "function"):
        raise SetAside("a tool call is not one of a function")
    if inner is not None and not isinstance(inner, dict):
        raise SetAside("a tool call is not an object")
    function = outer if inner is None else Fields(inner, ignored)
    name, arguments = function.text("name"), function.take("arguments")
    if not name.strip():
        raise SetAside("a tool call has no name")
    what = f"`arguments` of the call of {shown(name)}"
    arguments = {} if is_empty(arguments) else from_json(arguments, what)
    if not isinstance(arguments, dict):
        raise SetAside(f"{what} is not an object")
    call_id = outer.take("id")
    if not isinstance(call_id, str | int | None):
        raise SetAside("the id of a tool call is not text")
    for part in (outer, function):
        part.refuse_unused("a tool call")
    call: dict[str, Any] = {} if is_empty(call_id) else {"id": str(call_id)}
    return {**call, "type": "function", "function": {"name": name, "arguments": arguments}}
