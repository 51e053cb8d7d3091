"""Rows that are of no form: what they are instead, and what to do.

In: the first rows of a file. Out: one line of advice for a message.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from shed.data.forms.conversations import conversation
from shed.data.forms.metadata import is_metadata
from shed.data.forms.values import SetAside, is_empty, shown

ASKED = ("prompt", "instruction", "question", "query")
SIDE = re.compile(r"(?:response|completion|answer|output)s?_?(?:[a-z]|\d+)")
SYSTEM = re.compile(r"system(?=$|[_A-Z])")  # `systemInstruction`
DEEPEST = 4  # lists within lists in which rows are looked for
Row = Mapping[str, Any]


def preference(rows: Sequence[Row], columns: Mapping[str, str], ignored: Collection[str] = ()) -> str | None:
    """What to do with preference pairs; None where rows are none, or the user has said which side is read.

    Args:
        rows: the first of a file.
        columns: the user's columns by our names.
        ignored: keys that are not looked at; `*`: all that the form does not use.
    """
    if "*" in ignored:
        return None
    told = {*columns.values(), *ignored}
    held = _held(rows)
    pairs = ((key, key.replace("chosen", "rejected")) for key in held if "chosen" in key)
    found = next(((good, bad) for good, bad in pairs if bad in held and not told & {good, bad}), None)
    if found is None:
        return None
    good, bad = found
    asked = next((key for key in ASKED if key in held), None)
    if "messages" in held:
        how = f"to tune on `messages`, ignore {good} and {bad}"
    elif isinstance(held[good], list) or str(held[good]).startswith('[{"'):
        how = f"to tune on {good}, ignore {bad} and set the columns: {{messages: {good}}}"
    elif asked:
        how = f"to tune on {good}, ignore {bad} and set the columns: {{prompt: {asked}, response: {good}}}"
    else:
        marks = " at its marks Human: and Assistant:" if "Human:" in str(held[good]) else ""
        how = (
            f"{good} is one text of prompt and response; to tune on it, split it{marks} into the turns of a column `messages`, "
            f"and ignore {good} and {bad}"
        )
    return f"holds preference pairs ({good}, {bad}), which are no instruction rows: shed tunes on one response; {how}"


def structure(rows: Sequence[Row], form_of: Callable[[Row], str | None]) -> str | None:
    """What to do with rows that are no examples: trees, single turns, or what holds rows in lists or objects, as SQuAD's own
    files and requests of OpenAI's batches do.

    Args:
        form_of: the form of a row, or None.
    """
    held = _held(rows)
    if "replies" in held or any(isinstance(value, dict) and "replies" in value for value in held.values()):
        return "each row is a tree of replies; write each path from its root to a leaf as one row of `messages`"
    if key := next((key for key, value in held.items() if _is_graph(value)), None):
        return (
            f"{shown(key)} holds a tree of turns, as ChatGPT exports have it, into which no column reaches; "
            "write the path from its root to a leaf as one row of `messages`"
        )
    if {"role", "from"} & held.keys() and {"content", "value", "text"} & held.keys():
        return "each row is one turn; write the turns of each conversation as one row of `messages`, in their order"
    for path, row, around in (found for outer in rows for found in _inside(outer, (), (), DEEPEST)):
        if form := form_of(row):
            beside = f", with {' and '.join(map(shown, around))} from around it in each" if around else ""
            where = " in ".join(map(shown, reversed(path)))
            if all(isinstance(outer.get(path[0]), dict) for outer in rows) and len(path) == 1:
                return (
                    f"what is tuned (of the form {form}) stands in the object under {where}, into which no column reaches; "
                    "write its keys to the row itself"
                )
            return f"its rows (of the form {form}) are nested under {where}; flatten them to one row each{beside}"
    return None


def columns_to_set(rows: Sequence[Row]) -> str | None:
    """Which columns to name, where rows of no form have several responses or turns under a name of their own."""
    held = _held(rows)
    sides = [key for key in held if SIDE.fullmatch(key)]
    if several := (sides if len(sides) > 1 else [key for key, value in held.items() if _are_responses(value)]):
        return (
            f"each row has several responses ({', '.join(map(shown, several))}), and shed tunes on one; "
            "name one as the response in the columns and ignore the others, or write it to a column of its own"
        )
    for key in held:
        values = [row[key] for row in rows if not is_empty(row.get(key))]
        if not is_metadata(key, values[0]) and all(_is_talk(value) for value in values):
            system = next((other for other in held if other not in {"system", "system_prompt"} and SYSTEM.match(other)), None)
            more = f", system: {system}" if system else ""
            return f"{shown(key)} looks like the turns of a conversation; set the columns: {{messages: {key}{more}}}"
    return None


def _inside(
    value: Row, path: tuple[str, ...], around: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Row, tuple[str, ...]]]:
    """The first object of each list, and each object, with the keys that lead to it and the texts that stand beside them."""
    for key, items in value.items():
        items = [items] if isinstance(items, dict) else items
        if depth and isinstance(items, list) and items and isinstance(items[0], dict):
            texts = [name for name, text in value.items() if isinstance(text, str) and not is_metadata(name, text)]
            yield (*path, key), items[0], (*around, *texts)
            yield from _inside(items[0], (*path, key), (*around, *texts), depth - 1)


def _held(rows: Sequence[Row]) -> dict[str, Any]:
    """The keys that are not empty in all rows, with the first value of each."""
    return {key: value for row in reversed(rows) for key, value in row.items() if not is_empty(value)}


def _is_graph(value: Any) -> bool:
    """True for an object of nodes that name the ones above or below them, as `mapping` in an export of ChatGPT."""
    nodes = list(value.values()) if isinstance(value, dict) else []
    return bool(nodes) and all(isinstance(node, dict) and {"parent", "children"} <= node.keys() for node in nodes)


def _are_responses(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, dict) and "response" in one for one in value)


def _is_talk(value: Any) -> bool:
    try:
        return isinstance(value, list) and len(value) > 1 and conversation(value, ("*",))[-1].role == "assistant"
    except SetAside:
        return False
