"""How a record becomes text: the plain form or the tokenizer's chat template, with the place of each turn in it.

In: a `Record` and a tokenizer. Out: `Rendered`, the text and its `Part`s, among them the responses that a model is tuned on.

A text in a record is never a control token: where a turn's text spells one (`<|im_end|>`), the form is given another character
in its place, and `Rendered.hidden` says which.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shed.common.errors import ShedError
from shed.data.records import Message, Record, canonical

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

QUESTION, ANSWER, TOOLS, RESULT = "Question: ", "Answer:", "Tools: ", "Tool result: "  # labels of the plain form
FIRST_STAND_IN, LAST_STAND_IN = 0x100000, 0x10FFF0  # private-use characters that stand for control tokens
REWRITTEN = "the chat template writes an earlier turn otherwise when later ones follow; train on the last turn alone"
CALL_MARK = "marked-by-shed-"  # begins what stands for names and arguments, to see whether a template writes them
MARK = "\U0010fffd"  # stands for a response, to see what a template writes around it


@dataclass(frozen=True)
class Part:
    """A turn's text in the rendered text, in characters.

    Attributes:
        turn: which message.
        start, end: the text, in the plain form with the space before it.
        closed: the end of what closes the turn, where the model must learn to stop; `end` where nothing does.
    """

    turn: int
    start: int
    end: int
    closed: int


@dataclass(frozen=True)
class Rendered:
    """A record's text.

    Attributes:
        text: the whole, control tokens of the form as their names.
        parts: turns in their order; a turn whose text is empty, or is not written as it is, has none.
        hidden: what stands for which control token's name, where a turn's text holds one.
    """

    text: str
    parts: tuple[Part, ...]
    hidden: dict[str, str]


@dataclass(frozen=True)
class Renderer(ABC):
    """Writes records in one form."""

    tokenizer: "PreTrainedTokenizerBase"

    @abstractmethod
    def prompt(self, record: Record) -> Rendered:
        """All before the response, with what begins the assistant's turn."""

    @abstractmethod
    def whole(self, record: Record) -> Rendered:
        """The conversation.

        Raises:
            ShedError: the form cannot hold this record.
        """

    @cached_property
    def close(self) -> str:
        """The name of the control token by which the model learns to end its turn; "" if there is none."""
        return str(self.tokenizer.eos_token or "")

    @cached_property
    def control_tokens(self) -> re.Pattern[str]:
        """What finds the name of any control token."""
        names = {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        names |= {str(token) for token in self.tokenizer.all_special_tokens}
        return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)")

    def hide(self, record: Record) -> tuple[Record, dict[str, str]]:
        """The record with a private-use character for each control token's name, and which stands for which."""
        said = "".join([record.tools, *(turn.text for turn in record.messages)])
        if not self.control_tokens.search(said):
            return record, {}
        free = (chr(code) for code in range(FIRST_STAND_IN, LAST_STAND_IN) if chr(code) not in said)
        stand_ins = {name: next(free) for name in sorted(set(self.control_tokens.findall(said)))}

        def hide(text: str) -> str:
            return self.control_tokens.sub(lambda found: stand_ins[found.group()], text)

        turns = tuple(
            replace(turn, content=hide(turn.content), reasoning=hide(turn.reasoning), tool_calls=hide(turn.tool_calls))
            for turn in record.messages
        )
        return replace(record, messages=turns, tools=hide(record.tools)), {own: name for name, own in stand_ins.items()}


@dataclass(frozen=True)
class Plain(Renderer):
    """`Question: …` and `Answer: …`, a line a turn, each answer closed by the tokenizer's end token."""

    def prompt(self, record: Record) -> Rendered:
        own, hidden = self.hide(record)
        text, parts = self._written(own, own.messages[:-1])
        return Rendered(text + ANSWER, parts, hidden)

    def whole(self, record: Record) -> Rendered:
        own, hidden = self.hide(record)
        text, parts = self._written(own, own.messages)
        return Rendered(text.removesuffix("\n"), parts, hidden)

    def _written(self, record: Record, messages: Sequence[Message]) -> tuple[str, tuple[Part, ...]]:
        text, parts = f"{TOOLS}{record.tools}\n" if record.tools else "", []
        for number, turn in enumerate(messages):
            own, close = turn.text, ""
            if turn.role == "assistant":
                text, own, close = text + ANSWER, own if own[:1].isspace() else f" {own}", self.close
            elif turn.role != "system":
                text += QUESTION if turn.role == "user" else RESULT
            parts.append(Part(number, len(text), len(text) + len(own), len(text) + len(own) + len(close)))
            text += f"{own}{close}\n"
        return text, tuple(parts)


@dataclass(frozen=True)
class Chat(Renderer):
    """The tokenizer's chat template.

    Raises:
        ShedError: the tokenizer has none.
    """

    def __post_init__(self) -> None:
        if not self.tokenizer.chat_template:
            raise ShedError(
                "the chat form needs a chat template, and this model's tokenizer has none; use plain", "prompt form"
            )

    def prompt(self, record: Record) -> Rendered:
        own, hidden = self.hide(record)
        text = self._apply(own.messages[:-1], own.tools, generate=True)
        return Rendered(text, tuple(_texts(own.messages[:-1], text)), hidden)

    def whole(self, record: Record) -> Rendered:
        """The conversation as the template writes it.

        Raises:
            ShedError: the template refuses the conversation, leaves a part of it out, or writes an earlier turn otherwise when
                later ones follow, so that it cannot be said which tokens are a response.
        """
        own, hidden = self.hide(record)
        text = self._apply(own.messages, own.tools)
        _check_written(own, text)
        self._check_calls(own)
        parts = {part.turn: part for part in _texts(own.messages, text)}
        last = len(own.messages) - 1
        parts |= {n: self._response(own, n, text) for n, turn in enumerate(own.messages) if turn.trained or n == last}
        if not self.close:  # the model learns to stop by the end token
            start, closed, end = parts[last].start, parts[last].closed, str(self.tokenizer.eos_token or "")
            text, parts[last] = text[:closed] + end, Part(last, start, closed, closed + len(end))
        return Rendered(text, tuple(parts[n] for n in sorted(parts)), hidden)

    def _check_calls(self, record: Record) -> None:
        """Refuse tools and calls that the template does not write: it must write the marks that here stand in their places.

        Their own names would be no proof, since a user's text may hold them.
        """
        if not (record.tools or any(turn.tool_calls for turn in record.messages)):
            return
        marked, of_tools, of_calls = _marked(record)
        text = self._apply(marked.messages, marked.tools)
        if not all(mark in text for mark in of_calls):
            raise ShedError("the chat template leaves out the tool calls")
        if not all(mark in text for mark in of_tools):
            raise ShedError("the chat template leaves out the tools")

    @cached_property
    def _around(self) -> tuple[str, str]:
        """What the template writes before a response, after the turn before it, and what after it."""
        turn = Message("user", "?")
        before, after = self._apply([turn, Message("assistant", MARK)]).split(MARK)
        return before.removeprefix(self._apply([turn])), after

    @cached_property
    def close(self) -> str:
        """The control token that ends a turn, or "" if the template has none."""
        found = self.control_tokens.search(self._around[1])
        return found.group() if found else ""

    def _response(self, record: Record, n: int, text: str) -> Part:
        start = self._response_start(record, n, text)
        end = text.find(self.close, start) if self.close else -1
        if end >= 0:
            return Part(n, start, end, end + len(self.close))
        until = self._apply(record.messages[: n + 1], record.tools)
        if not text.startswith(until):
            raise ShedError(REWRITTEN)
        end = max(start, len(until.rstrip()))
        return Part(n, start, end, end)

    def _response_start(self, record: Record, n: int, text: str) -> int:
        earlier, content = record.messages[:n], record.messages[n].content.strip()
        if not any(turn.role == "user" for turn in earlier):  # many templates cannot write a conversation without a user
            return text.find(content)
        before = self._apply(earlier, record.tools, generate=True)
        if not text.startswith(before):  # a template may prompt for reasoning that the turn has not
            before = self._apply(earlier, record.tools) + self._around[0]
        if not text.startswith(before):
            raise ShedError(REWRITTEN)
        return len(before)

    def _apply(self, turns: Sequence[Message], tools: str = "", *, generate: bool = False) -> str:
        from jinja2 import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(
                [_for_template(turn) for turn in turns],
                tools=json.loads(tools) if tools else None,
                add_generation_prompt=generate,
                tokenize=False,
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise ShedError(f"the chat template refuses this: {' '.join(str(error).split())}") from error
        assert isinstance(text, str)
        return text


def _texts(turns: Sequence[Message], text: str) -> Iterator[Part]:
    """Turns whose content stands in the text as it is."""
    at = 0
    for n, turn in enumerate(turns):
        own = turn.content.strip()
        start = text.find(own, at) if own else -1
        if start >= 0:
            at = start + len(own)
            yield Part(n, start, at, at)


def _check_written(record: Record, text: str) -> None:
    for n, turn in enumerate(record.messages):
        *thoughts, content = [part.strip() for part in re.split("</?think>", turn.content)]
        if content not in text:
            raise ShedError(f"the chat template leaves out the {turn.role}'s text")
        # templates leave out the reasoning of earlier turns, which is right where these are not trained
        last = n == len(record.messages) - 1
        if (last or turn.trained) and not all(part in text for part in (*thoughts, turn.reasoning.strip())):
            raise ShedError("the chat template leaves out the reasoning")


def _marked(record: Record) -> tuple[Record, list[str], list[str]]:
    """The record with a mark in place of each tool's name and of each call's name and arguments, and the marks of both."""
    of_tools: list[str] = []
    of_calls: list[str] = []

    def mark(of: list[str]) -> str:
        of.append(f"{CALL_MARK}{len(of_tools)}.{len(of_calls)}.")
        return of[-1]

    tools = json.loads(record.tools or "[]")
    for tool in tools:
        tool.get("function", tool)["name"] = mark(of_tools)
    turns = []
    for turn in record.messages:
        calls = json.loads(turn.tool_calls or "[]")
        for call in calls:
            call["function"] |= {"name": mark(of_calls), "arguments": {mark(of_calls): mark(of_calls)}}
        turns.append(replace(turn, tool_calls=canonical(calls)))
    return replace(record, messages=tuple(turns), tools=canonical(tools)), of_tools, of_calls


def _for_template(turn: Message) -> dict[str, Any]:
    """The turn as chat templates expect it: a call's arguments are an object."""
    row = turn.to_row()
    row.pop("weight", None)
    for call in row.get("tool_calls", ()):
        if isinstance(call["function"].get("arguments"), str):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return row
