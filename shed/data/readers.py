"""Readers of a user's own files of records: JSON lists and JSON lines.

In: rows in Alpaca form (instruction, input, output) or in messages form. Out: `Record`s.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError
from shed.data.records import Record

ROLES = ("system", "user", "assistant")


def read_user_file(path: Path | str) -> list[Record]:
    """Read a user's JSON list or JSONL file; each row is in Alpaca or in messages form, and may carry `id` and `source`.

    Empty responses are kept here and set aside, with their origin, by `shed.data.preparation`.

    Raises:
        ShedError: the file is absent, not JSON, empty, or has a row that is not a record or whose `id` was seen before;
            the message names the file and the row.
    """
    path = Path(path)
    if not path.is_file():
        raise ShedError(f"{path}: no such file; give a recipe (.yaml) or a JSON or JSONL file of records")
    if path.suffix not in {".json", ".jsonl"}:
        raise ShedError(f"{path}: a file of records must be JSON or JSONL, by its name too; or give a recipe (.yaml)")
    records: list[Record] = []
    first_seen: dict[str, str] = {}
    for place, row in file_rows(path):
        records.append(_parse(row, path.stem, place))
        if (given := row.get("id")) is not None:
            if str(given) in first_seen:
                raise ShedError(
                    f"{place}: id {given!r} was already used at {first_seen[str(given)]}; give each record its own id, or none"
                )
            first_seen[str(given)] = place
    if not records:
        raise ShedError(f"{path}: holds no records; it needs at least two")
    return records


def file_rows(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    """The objects of a JSON list or of JSON lines, each with its place, for messages.

    Raises:
        ShedError: the file is not UTF-8, not JSON or cannot be read, or an entry is no object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ShedError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except PermissionError as error:
        raise ShedError(f"{path}: permission denied") from error
    if text.lstrip().startswith("["):
        rows = list(enumerate(_json(text, str(path)), start=1))
        where = "entry"
    else:
        rows = [(n, _json(line, f"{path}, line {n}")) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
        where = "line"
    for n, row in rows:
        if not isinstance(row, dict):
            raise ShedError(f"{path}, {where} {n}: a record must be a JSON object, not {type(row).__name__}")
        yield f"{path}, {where} {n}", row


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ShedError(f"{place}: not valid JSON ({error.msg} at column {error.colno})") from error


def _parse(row: dict[str, Any], stem: str, place: str) -> Record:
    source = _text(row, "source", place) if "source" in row else stem
    if "messages" in row:
        messages = _messages(row["messages"], place)
    elif "instruction" in row and "output" in row:
        extra = _text(row, "input", place) if row.get("input") not in (None, "") else ""
        prompt = _text(row, "instruction", place) + (f"\n\n{extra}" if extra else "")
        messages = (("user", prompt), ("assistant", _text(row, "output", place)))
    else:
        raise ShedError(f"{place}: a record needs `messages`, or `instruction` and `output`; it has {sorted(map(str, row))}")
    choices, answer = row.get("choices") or (), row.get("answer")
    if choices and not (
        isinstance(choices, list)
        and all(isinstance(choice, str) and choice.strip() for choice in choices)
        and isinstance(answer, int)
        and not isinstance(answer, bool)
        and 0 <= answer < len(choices)
    ):
        raise ShedError(f"{place}: `choices` must be a list of texts and `answer` the index of the right one, from 0")
    return Record(messages, source, place, tuple(choices), answer if choices else None)


def _messages(value: Any, place: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(turn, dict) for turn in value):
        raise ShedError(f"{place}: `messages` must be a list of at least two objects with `role` and `content`")
    turns = tuple((_text(turn, "role", place), _text(turn, "content", place)) for turn in value)
    for role, _ in turns:
        if role not in ROLES:
            raise ShedError(f"{place}: role {role!r} is not one of {', '.join(ROLES)}")
    if turns[-1][0] != "assistant":
        raise ShedError(f"{place}: the last message must be the assistant's, since it is the response to tune on")
    return turns


def _text(row: dict[str, Any], key: str, place: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise ShedError(f"{place}: `{key}` must be text, not {json.dumps(value)[:40]}")
    return value
