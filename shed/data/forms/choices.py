"""Multiple choice: the response is the right option, whatever says which one it is.

In: the choices and the answer of a row, and its turns. Out: the turns, with the right option as the response.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shed.data.forms.values import SetAside, from_json, is_empty
from shed.data.records import Message

NOT_ONE = "`answer` is not one of the choices"
INDEX = "write it as an integer from 0 (in JSON or Parquet), or as the right option's text"
LABEL = "write it as the right option's label or text"


def choices_of(value: Any, answer: Any) -> tuple[tuple[str, ...], int | None]:
    """The options and the index of the right one; none and None where a row has no choices.

    Args:
        value: a list of texts, `{"text": [...], "label": [...]}`, or an object of texts by their labels.
        answer: the index of the right option, from 0, where there are no labels; or its label; or its text, which must be that
            of exactly one; or, where there are no labels and no option has this text, its letter: `A` is the first.

    Raises:
        SetAside: they are not two or more different texts, or the answer is not one of them.
    """
    if is_empty(value):
        return (), None
    value = from_json(value, "`choices`")
    labels: Any = None
    if isinstance(value, dict):
        alike = value.keys() == {"text", "label"}
        value, labels = (value["text"], value["label"]) if alike else (list(value.values()), list(value))
    if not isinstance(value, list) or not all(isinstance(choice, str) for choice in value):
        raise SetAside(
            "`choices` is not a list of texts; write the options as texts, numbers too, in a list, "
            'as {"text": [...], "label": [...]}, or as an object of texts by their labels'
        )
    if not all(choice.strip() for choice in value):
        raise SetAside("`choices` is not a list of texts: an option is empty")
    if len(value) < 2 or len({choice.strip() for choice in value}) < len(value):
        raise SetAside("`choices` has fewer than two options, or two that are equal")
    return tuple(value), _index(value, labels, answer)


def _index(choices: Sequence[str], labels: Any, answer: Any) -> int:
    """The index of the right option.

    Raises:
        SetAside: it cannot be told, and why not; a text of digits may count from 0 or from 1.
    """
    way_out = INDEX if labels is None else LABEL
    if isinstance(answer, int) and not isinstance(answer, bool):
        if labels is not None:
            raise SetAside(f"{NOT_ONE}: a number, where the options have labels; write the right label as text")
        if not 0 <= answer < len(choices):
            raise SetAside(f"{NOT_ONE}: as a number it counts from 0, and there are fewer options")
        return answer
    if not isinstance(answer, str) or not answer.strip():
        raise SetAside(f"{NOT_ONE}: it is {'empty' if is_empty(answer) else 'no integer and no text'}; {way_out}")
    names = [choice.strip() for choice in choices]
    if labels is not None:
        own = [str(label) for label in labels] if isinstance(labels, list) and len(labels) == len(choices) else []
        names = own if answer.strip() in own else names
    elif answer.strip() not in names:
        names = [chr(ord("A") + n) for n in range(min(len(choices), 26))]
    if names.count(answer.strip()) == 1:
        return names.index(answer.strip())
    if labels is None and answer.strip().isdecimal():
        raise SetAside(f"{NOT_ONE}: digits as text, which may count from 0 or from 1; {way_out}")
    raise SetAside(f"{NOT_ONE}: no option has this text or {'letter' if labels is None else 'label'}; {way_out}")


def with_choice(messages: Sequence[Message], choice: str) -> list[Message]:
    """The turns with the right option as the response.

    Raises:
        SetAside: the row has another response, or one with reasoning or tool calls.
    """
    last = messages[-1]
    if last.role != "assistant" or last.text.strip() not in ("", choice.strip()):
        raise SetAside("the response is another text than the right option")
    return [*messages[:-1], replace(last, content=choice)]
