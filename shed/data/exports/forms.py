"""Forms of exported rows: a record as the fields of the messages, prompt/completion, Alpaca or ShareGPT form.

In: a `Record` and how it was trained. Out: the fields of one row, or `Unfit`: this form would change what the record says or
which turns are trained.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from shed.data.records import Message, Record

Form = Literal["messages", "prompt_completion", "alpaca", "sharegpt", "given"]
TrainOn = Literal["all", "last"]
Fields = dict[str, Any]
FORMS: tuple[Form, ...] = ("messages", "prompt_completion", "alpaca", "sharegpt", "given")


class Unfit(Exception):
    """A form cannot hold a record; the message is the reason, the same for all records that it holds for."""


def fields(record: Record, form: Form, train_on: TrainOn) -> Fields:
    """The record's fields in a form, without what is known of it beside.

    Args:
        record: what to write.
        form: the form.
        train_on: what trainers do with Alpaca and ShareGPT rows, which cannot say it: train every answer, or the last alone.

    Raises:
        Unfit: the form cannot hold this record.
    """
    return _WRITERS[form](record, train_on)


def is_readable_json(text: str) -> bool:
    """True if `datasets` can decode the text in a column of JSON; it knows no integer beyond 64 bits."""
    from pandas.io.json import ujson_loads  # type: ignore[attr-defined]  # what `datasets` decodes with

    try:
        ujson_loads(text)
    except ValueError:
        return False
    return True


def _messages(record: Record, train_on: TrainOn) -> Fields:
    row: Fields = {"messages": [_turn(turn) for turn in record.messages]}
    if record.tools:
        row["tools"] = record.tools
    if record.choices:
        row |= {"choices": list(record.choices), "answer": record.answer}
    return row


def _prompt_completion(record: Record, train_on: TrainOn) -> Fields:
    """All before the last turn, and that turn: trainers tune on the completion alone."""
    _check_weights(record.messages[-1:])
    if any(turn.trained for turn in record.messages[:-1]):
        raise Unfit("several turns are trained")
    if len(record.messages) < 2:
        raise Unfit("nothing stands before the response")
    turns = [_turn(turn) for turn in record.messages]
    row: Fields = {"prompt": turns[:-1], "completion": turns[-1:]}
    if record.tools:
        row["tools"] = record.tools
    return row


def _alpaca(record: Record, train_on: TrainOn) -> Fields:
    """Instruction and output; earlier questions with their answers are `history`."""
    _check_trained(record, train_on)
    if record.tools or any(turn.tool_calls or turn.role == "tool" for turn in record.messages):
        raise Unfit("it has tools")
    system, turns = _system_apart(record)
    _check_plain(turns)
    _check_alternation(turns)
    pairs = [[ask.content, reply.content] for ask, reply in zip(turns[::2], turns[1::2], strict=True)]
    return {"instruction": pairs[-1][0], "input": "", "output": pairs[-1][1], "system": system, "history": pairs[:-1]}


def _sharegpt(record: Record, train_on: TrainOn) -> Fields:
    """Turns from `human`, `gpt`, `system`, `function_call` and `observation`, as LLaMA-Factory takes them."""
    _check_trained(record, train_on)
    system, turns = _system_apart(record)
    _check_plain(turns)
    _check_alternation(turns)
    _check_results(turns)
    spoken = [{"from": "system", "value": system}] if system else []
    spoken += [{"from": _speaker(turn), "value": _calls_as_text(turn) if turn.tool_calls else turn.content} for turn in turns]
    return {"conversations": spoken, "tools": record.tools}


def _given(record: Record, train_on: TrainOn) -> Fields:
    if not record.given:
        raise Unfit("it was read from no row of the user's")
    row: Fields = json.loads(record.given)
    return row


_WRITERS: dict[Form, Callable[[Record, TrainOn], Fields]] = {
    "messages": _messages,
    "prompt_completion": _prompt_completion,
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "given": _given,
}


def _turn(turn: Message) -> Fields:
    """The turn as an object; the arguments of a call are an object, since chat templates write a text in quotes of its own."""
    row = turn.to_row()
    for call in row.get("tool_calls", ()):
        function = call.get("function", {})
        text = function.get("arguments")
        if isinstance(text, str) and is_readable_json(text) and isinstance(json.loads(text), dict):
            function["arguments"] = json.loads(text)
    return row


def _speaker(turn: Message) -> str:
    if turn.tool_calls:
        return "function_call"
    return {"user": "human", "assistant": "gpt", "tool": "observation"}[turn.role]


def _calls_as_text(turn: Message) -> str:
    """`{"name", "arguments"}` as JSON text; a list of them where there are several."""
    calls = []
    for call in json.loads(turn.tool_calls):
        arguments = call["function"].get("arguments", {})
        calls.append(
            {
                "name": call["function"]["name"],
                "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments,
            }
        )
    return json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)


def _check_weights(turns: Sequence[Message]) -> None:
    if any(turn.trained and turn.weight != 1 for turn in turns):
        raise Unfit("a turn has a weight other than 0 and 1")
    if not turns[-1].trained:
        raise Unfit("the last turn is not trained")


def _check_trained(record: Record, train_on: TrainOn) -> None:
    _check_weights(record.messages)
    earlier = [turn.trained for turn in record.messages[:-1] if turn.role == "assistant"]
    if train_on == "all" and not all(earlier):
        raise Unfit("an assistant's turn is not trained")
    if train_on == "last" and any(earlier):
        raise Unfit("an earlier turn is trained, too")


def _system_apart(record: Record) -> tuple[str, Sequence[Message]]:
    first = record.messages[0]
    if first.role == "system" and not first.content:
        raise Unfit("its system turn is empty")
    return (first.content, record.messages[1:]) if first.role == "system" else ("", record.messages)


def _check_plain(turns: Sequence[Message]) -> None:
    if any(turn.reasoning for turn in turns):
        raise Unfit("its reasoning stands apart")
    if any(turn.tool_calls and turn.content for turn in turns):
        raise Unfit("text stands beside a tool call")
    if any(turn.name and turn.role != "tool" for turn in turns):
        raise Unfit("a speaker has a name")


def _check_alternation(turns: Sequence[Message]) -> None:
    if any(turn.role == "system" for turn in turns):
        raise Unfit("a system turn is not the first")
    if turns[0].role == "assistant":
        raise Unfit("the assistant speaks first")
    if any(one.role == other.role == "tool" for one, other in itertools.pairwise(turns)):
        raise Unfit("several tool results stand in a row")
    if any((turn.role == "assistant") != bool(n % 2) for n, turn in enumerate(turns)):
        raise Unfit("the assistant and others do not take turns")


def _check_results(turns: Sequence[Message]) -> None:
    """A result belongs to what stands before it, so neither a name nor an id may say otherwise."""
    before = [turns[0], *turns]
    for caller, turn in zip(before, turns, strict=False):
        calls = json.loads(caller.tool_calls or "[]")
        if turn.tool_calls and not all(_is_plain_call(call) for call in json.loads(turn.tool_calls)):
            raise Unfit("a tool call is not one of a function with arguments")
        if turn.role == "tool" and len(calls) != 1:
            raise Unfit("a tool result does not follow one call of its own")
        if turn.role == "tool" and (
            turn.name not in ("", calls[0]["function"]["name"]) or turn.tool_call_id not in ("", calls[0].get("id", ""))
        ):
            raise Unfit("a tool result does not belong to the call before it")
        if turn.role != "tool" and calls and turn is not caller:
            raise Unfit("no result follows a tool call")


def _is_plain_call(call: dict[str, Any]) -> bool:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return False
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return False
    return isinstance(arguments, dict)
