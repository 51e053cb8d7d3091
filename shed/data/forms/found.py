"""Which form the rows of a file have, by their keys.

In: rows, or what a user set. Out: a `FormName`; or one line that says what the rows have instead.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from shed.common.errors import ShedError
from shed.common.spelling import did_you_mean
from shed.data.forms.metadata import METADATA
from shed.data.forms.unknown import columns_to_set, preference, structure
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
OWN_NAMES = (
    *("prompt", "response", "system", "context", "history", "choices", "answer", "source", "messages", "tools", "weight"),
    "reasoning",
)
BESIDE = ("system_prompt", "input", "functions", "answerKey")  # which forms read, too
KNOWN = frozenset({name for needs in NEEDS.values() for names in needs for name in names} | {*OWN_NAMES, *BESIDE} | METADATA)
SHOWN_KEYS = 12


def check_columns(columns: Mapping[str, str]) -> Mapping[str, str]:
    """The columns as they are, if they can be: names of ours, and each column under one of them.

    Raises:
        ValueError: they cannot be.
    """
    for ours, column in columns.items():
        if ours not in OWN_NAMES:
            hint = did_you_mean(ours, OWN_NAMES)
            raise ValueError(f"{shown(ours)} is not a name of ours; {hint}there are {', '.join(OWN_NAMES)}")
        if not column.strip():
            raise ValueError(f"the column for the {ours} has no name")
        if other := next((name for name in columns if name != ours and columns[name] == column), None):
            raise ValueError(f"{shown(column)} is given for the {ours} and for the {other}; a column can be one of them")
    return columns


def form_found(
    where: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], ignored: Collection[str] = ()
) -> FormName:
    """The form that most of the rows have.

    Args:
        where: the file, for messages.
        rows: the first of the file, at least one.
        columns: the user's columns by our names.
        ignored: keys that are not looked at.

    Raises:
        ShedError: no row is of a form that is known, rows are preference pairs, or a column is not there.
    """
    keys = {key for row in rows for key, value in row.items() if value is not None}
    for name, column in columns.items():
        if column not in keys:
            if column.partition(".")[0] in keys:
                raise ShedError(
                    f"{where}: no column {shown(column)} for the {name}, and a column cannot reach into "
                    f"{shown(column.partition('.')[0])}; write what is in it to a key of the row itself",
                    "columns",
                )
            raise ShedError(
                f"{where}: no column {shown(column)} for the {name}; {did_you_mean(column, keys)}it has {_listed(keys)}",
                "columns",
            )
    forms = Counter(form for row in rows if (form := form_of(row, columns)))
    if pairs := preference(rows, columns, ignored if forms else ()):
        raise ShedError(f"{where}: {pairs}", "columns")
    if forms:
        return forms.most_common(1)[0][0]
    if told := structure(rows, lambda row: form_of(row, {})):
        raise ShedError(f"{where}: {told}")
    if told := columns_to_set(rows):
        raise ShedError(f"{where}: {told}", "columns")
    if "text" in keys:
        raise ShedError(
            f"{where}: its `text` does not say where the prompt ends and the response begins; "
            "write them to columns of their own, or as messages"
        )
    raise ShedError(
        f"{where}: rows of no form that is known; they have {_listed(keys)}{meant(keys, columns)}; "
        "set the columns, for example {prompt: my_question, response: my_reply}",
        "columns",
    )


def meant(keys: Collection[str], columns: Mapping[str, str]) -> str:
    """For a message: what keys that are not known were probably meant to be."""
    names = KNOWN.difference(METADATA, keys, columns)
    hints = {key: did_you_mean(key, names) for key in sorted(keys) if key not in KNOWN and key not in columns.values()}
    return "".join(f"; {shown(key)}: {hint.strip()}" for key, hint in hints.items() if hint)


def is_of(form: FormName, fields: Fields) -> bool:
    """True if a row has the keys that its form needs."""
    return all(fields.has(*names) for names in NEEDS[form])


def keys_of(row: Mapping[str, Any]) -> str:
    """The row's keys, for a message."""
    return _listed([key for key, value in row.items() if value is not None])


def form_of(row: Mapping[str, Any], columns: Mapping[str, str]) -> FormName | None:
    """The form of a row, by the keys that have something, or else by all keys."""
    told = Fields({key: value for key, value in row.items() if not is_empty(value)}, (), columns)
    there = Fields({key: value for key, value in row.items() if value is not None}, (), columns)
    return next((form for fields in (told, there) for form in NEEDS if is_of(form, fields)), None)


def _listed(keys: Collection[str]) -> str:
    names = sorted(keys)
    more = f" and {len(names) - SHOWN_KEYS} more" if len(names) > SHOWN_KEYS else ""
    return f"the keys {', '.join(map(shown, names[:SHOWN_KEYS]))}{more}" if names else "no keys"
