"""Which form the rows of a file have, by their keys.

In: rows, or what a user set. Out: a `FormName`; or one line that says what the rows have instead.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from shed.common.errors import ShedError
from shed.data.forms.values import Fields, is_empty, shown

FormName = Literal["messages", "sharegpt", "prompt_completion", "instruction_response", "alpaca", "question_answer", "columns"]
NEEDS: dict[FormName, tuple[tuple[str, ...], ...]] = {  # the first that a row fits is its form
    "messages": (("messages",),),
    "sharegpt": (("conversations", "conversation"),),
    "prompt_completion": (("prompt",), ("completion",)),
    "instruction_response": (("instruction",), ("response",)),
    "alpaca": (("instruction",), ("output", "choices")),
    "question_answer": (("question", "query"), ("answer", "answers", "response", "choices")),
    "columns": (("prompt",), ("response", "choices")),
}
OWN_NAMES = ("prompt", "response", "system", "context", "history", "choices", "answer", "source", "messages", "tools", "weight")
SHOWN_KEYS = 12


def form_found(where: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> FormName:
    """The form that most of the rows have.

    Args:
        where: the file, for messages.
        rows: the first of the file, at least one.
        columns: the user's columns by our names.

    Raises:
        ShedError: no row is of a form that is known, or a column is not there.
    """
    keys = {key for row in rows for key, value in row.items() if value is not None}
    for name, column in columns.items():
        if column not in keys:
            raise ShedError(f"{where}: no column {shown(column)} for the {name}; it has {_listed(keys)}", "columns")
    forms = Counter(form for row in rows if (form := _form(row, columns)))
    if forms:
        return forms.most_common(1)[0][0]
    if {"chosen", "rejected"} <= keys:
        raise ShedError(
            f"{where}: holds preference pairs (chosen, rejected), and shed tunes on responses; to tune on chosen, ignore "
            "rejected and set the columns: {messages: chosen} where they are conversations, else {prompt: …, response: chosen}",
            "columns",
        )
    if "text" in keys:
        raise ShedError(
            f"{where}: its `text` does not say where the prompt ends and the response begins; "
            "write them to columns of their own, or as messages",
            "columns",
        )
    raise ShedError(
        f"{where}: rows of no form that is known; they have {_listed(keys)}; "
        "set the columns, for example {prompt: my_question, response: my_reply}",
        "columns",
    )


def is_of(form: FormName, fields: Fields) -> bool:
    """True if a row has the keys that its form needs."""
    return all(fields.has(*names) for names in NEEDS[form])


def keys_of(row: Mapping[str, Any]) -> str:
    """The row's keys, for a message."""
    return _listed([key for key, value in row.items() if value is not None])


def _form(row: Mapping[str, Any], columns: Mapping[str, str]) -> FormName | None:
    """The form of a row, by the keys that have something, or else by all keys."""
    told = Fields({key: value for key, value in row.items() if not is_empty(value)}, (), columns)
    there = Fields({key: value for key, value in row.items() if value is not None}, (), columns)
    return next((form for fields in (told, there) for form in NEEDS if is_of(form, fields)), None)


def _listed(keys: Collection[str]) -> str:
    names = sorted(keys)
    more = f" and {len(names) - SHOWN_KEYS} more" if len(names) > SHOWN_KEYS else ""
    return f"the keys {', '.join(map(shown, names[:SHOWN_KEYS]))}{more}" if names else "no keys"
