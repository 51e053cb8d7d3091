"""Rows, and what is read from them, for the tests of forms."""

from typing import Any

import pytest

from shed.data.forms.found import form_found
from shed.data.forms.rows import RowReader
from shed.data.forms.values import SetAside
from shed.data.records import Record

Row = dict[str, Any]
CALL = {"name": "weather", "arguments": {"city": "Oslo"}}
TOOL = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


def read(row: Row, **how: Any) -> Record:
    columns = how.pop("columns", {})
    form = how.pop("form", None) or form_found("my.jsonl", [row], columns)
    return RowReader(form, columns, **how).record(row, None, "my", "my.jsonl, line 1")


def reason(row: Row, **how: Any) -> str:
    with pytest.raises(SetAside) as error:
        read(row, **how)
    return str(error.value)


def turns(record: Record) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in record.messages]


def messages(*said: str, **beside: Any) -> Row:
    """u: user, a: assistant, s: system, t: tool; what follows is the text."""
    roles = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}
    return {"messages": [{"role": roles[text[0]], "content": text[1:]} for text in said], **beside}
