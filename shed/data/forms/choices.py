"""Multiple choice: the response is the right option, whatever says which one it is.

In: the choices and the answer of a row, and its turns. Out: the turns, with the right option as the response.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shed.data.forms.values import SetAside, from_json, is_empty
from shed.data.records import Message


def choices_of(value: Any, answer: Any) -> tuple[tuple[str, ...], int | None]:
    """The options and the index of the right one; none and None where a row has no choices.

    Args:
        value: a list of texts, or `{"text": [...], "label": [...]}`.
        answer: the index of the right option, from 0; or its text, which must be that of exactly one; or its label; or, where
            there are no labels and no option has this text, its letter: `A` is the first.

    Raises:
        SetAside: they are not two or more different texts, or the answer is not one of them.
    """
    if is_empty(value):
        return (), None
    value = from_json(value, "`choices`")
    labels: Any = None
    if isinstance(value, dict) and value.keys() == {"text", "label"}:
        value, labels = value["text"], value["label"]
    if not isinstance(value, list) or not all(isinstance(choice, str) and choice.strip() for choice in value):
        raise SetAside("`choices` is not a list of texts")
    if len(value) < 2 or len({choice.strip() for choice in value}) < len(value):
        raise SetAside("`choices` has fewer than two options, or two that are equal")
    index = _index(value, labels, answer)
    if index is None:
        raise SetAside("`answer` is not one of the choices: neither an index from 0 nor an option's text, label or letter")
    return tuple(value), index


def _index(choices: Sequence[str], labels: Any, answer: Any) -> int | None:
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer if labels is None and 0 <= answer < len(choices) else None
    if not isinstance(answer, str):
        return None
    names = [choice.strip() for choice in choices]
    if labels is not None:
        names = labels if isinstance(labels, list) and len(labels) == len(choices) else []
    elif answer.strip() not in names:
        names = [chr(ord("A") + n) for n in range(min(len(choices), 26))]
    return names.index(answer.strip()) if names.count(answer.strip()) == 1 else None


def with_choice(messages: Sequence[Message], choice: str) -> list[Message]:
    """The turns with the right option as the response.

    Raises:
        SetAside: the row has another response, or one with reasoning or tool calls.
    """
    last = messages[-1]
    if last.role != "assistant" or last.text.strip() not in ("", choice.strip()):
        raise SetAside("the response is another text than the right option")
    return [*messages[:-1], replace(last, content=choice)]
