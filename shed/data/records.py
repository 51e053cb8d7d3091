"""Records: one instruction example each, and the files in which the project keeps them.

In: messages with their source. Out: `Record`s, whose id is a digest of their content.
"""

import dataclasses
import hashlib
import itertools
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: who speaks; `tool` is the result of a tool call.
        content: the text.
        weight: of an assistant's turn: what the loss of its tokens is multiplied with; 0: the turn is read and not trained.
        reasoning: of an assistant's turn: what stands before the content as reasoning, if the record tells them apart.
        tool_calls: of an assistant's turn: a JSON list of `{"type": "function", "function": {"name", "arguments"}}`, or "".
        name: the tool that a result is of, if it is given.
        tool_call_id: the call that a result answers, if it is given.
    """

    role: Role
    content: str
    weight: float = 1.0
    reasoning: str = ""
    tool_calls: str = ""
    name: str = ""
    tool_call_id: str = ""

    @property
    def trained(self) -> bool:
        """True if a model is tuned on this turn."""
        return self.role == "assistant" and self.weight > 0

    @property
    def more(self) -> bool:
        """True if the turn is more than a role and a content."""
        return self.weight != 1 or bool(self.reasoning or self.tool_calls or self.name or self.tool_call_id)

    @property
    def text(self) -> str:
        """Reasoning, content and tool calls, one below the other: all that the turn says.

        Of a call that is its name and its arguments. Its id is random, and no model could learn to write it.
        """
        if not (self.reasoning or self.tool_calls):
            return self.content
        calls = [call.get("function", call) for call in json.loads(self.tool_calls or "[]")]
        return "\n".join(part for part in (self.reasoning, self.content, canonical(calls)) if part)

    def to_row(self) -> dict[str, Any]:
        """The turn as an object of the standard messages form; a key whose value says nothing is left out."""
        row: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.reasoning:
            row["reasoning_content"] = self.reasoning
        if self.tool_calls:
            row["tool_calls"] = json.loads(self.tool_calls)
        if self.name:
            row["name"] = self.name
        if self.tool_call_id:
            row["tool_call_id"] = self.tool_call_id
        if self.role == "assistant" and self.weight != 1:
            row["weight"] = self.weight
        return row


@dataclass(frozen=True)
class Record:
    """One instruction example.

    Attributes:
        messages: the turns; the last one is the assistant's, the response. A model is tuned on every `Message.trained` one.
        source: the data set or file that it belongs to; scores and tables are broken down by it.
        origin: the file and the line (or entry) that it was read from.
        choices: the options of a multiple-choice record, else empty; the response is the right one of them.
        answer: the index of the right option in `choices`, else None.
        tools: a JSON list of the tools that the assistant may call, or "".
        given: the row as the user gave it, as JSON text, or "" where there is none.
    """

    messages: tuple[Message, ...]
    source: str
    origin: str
    choices: tuple[str, ...] = ()
    answer: int | None = None
    tools: str = ""
    given: str = ""

    @cached_property
    def id(self) -> str:
        """16 hex digits of the SHA-256 of what is tuned on; the source does not enter, so that a copy has the same id."""
        turns: Any = [(turn.role, turn.content) for turn in self.messages]
        if self.tools or any(turn.more for turn in self.messages):
            turns = {"messages": [turn.to_row() for turn in self.messages], "tools": self.tools}
        return hashlib.sha256(json.dumps(turns, ensure_ascii=False).encode()).hexdigest()[:16]

    @property
    def prompt(self) -> str:
        """Everything before the response, turns joined by newlines."""
        return "\n".join(turn.text for turn in self.messages[:-1])

    @property
    def response(self) -> str:
        """All that the last turn says."""
        return self.messages[-1].text

    def with_response(self, response: str) -> "Record":
        """This record with another text as its last turn."""
        last = dataclasses.replace(self.messages[-1], content=response, reasoning="", tool_calls="")
        return dataclasses.replace(self, messages=(*self.messages[:-1], last))

    def to_row(self) -> dict[str, Any]:
        """The record in the standard messages form, with what is known of it beside."""
        row: dict[str, Any] = {"id": self.id, "messages": [turn.to_row() for turn in self.messages]}
        if self.tools:
            row["tools"] = json.loads(self.tools)
        row |= {"source": self.source, "origin": self.origin}
        if self.choices:
            row |= {"choices": list(self.choices), "answer": self.answer}
        if self.given:
            row["given"] = self.given
        return row


def single_turn(
    prompt: str, response: str, source: str, origin: str, choices: Iterable[str] = (), answer: int | None = None
) -> Record:
    return Record((Message("user", prompt), Message("assistant", response)), source, origin, tuple(choices), answer)


def canonical(value: Any) -> str:
    """A JSON value as text, for `Record.tools` and `Message.tool_calls`; "" for one that is empty."""
    return json.dumps(value, ensure_ascii=False) if value else ""


def from_row(row: dict[str, Any]) -> Record:
    """The inverse of `Record.to_row`."""
    return Record(
        tuple(
            Message(
                turn["role"],
                turn["content"],
                turn.get("weight", 1.0),
                turn.get("reasoning_content", ""),
                canonical(turn.get("tool_calls")),
                turn.get("name", ""),
                turn.get("tool_call_id", ""),
            )
            for turn in row["messages"]
        ),
        row["source"],
        row["origin"],
        tuple(row.get("choices", ())),
        row.get("answer"),
        canonical(row.get("tools")),
        row.get("given", ""),
    )


def iterate_records(path: Path | str) -> Iterator[Record]:
    """Records that the project itself wrote, one JSON object a line, one at a time."""
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            yield from_row(json.loads(line))


def read_records(path: Path | str) -> list[Record]:
    """All of `iterate_records`."""
    return list(iterate_records(path))


class RecordFile(Sequence[Record]):
    """The records of such a file as a sequence, of which as many are in memory as were asked for.

    Where each begins is found once, in one pass over it, and takes 8 bytes of memory a record.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        with self._path.open("rb") as file:
            self._ends = array("q", itertools.accumulate(map(len, file)))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Record]:
        return iterate_records(self._path)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        numbers = range(len(self))[index]
        with self._path.open("rb") as file:
            if isinstance(numbers, range):
                return [self._read(file, number) for number in numbers]
            return self._read(file, numbers)

    def _read(self, file: BinaryIO, number: int) -> Record:
        start = self._ends[number - 1] if number else 0
        file.seek(start)
        return from_row(json.loads(file.read(self._ends[number] - start)))
