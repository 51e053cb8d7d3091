"""Conversations: lists of turns in the messages form or in ShareGPT's, and the order that turns must have.

In: a list of turns. Out: `Message`s.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Literal

from shed.data.forms.turns import turn_of
from shed.data.forms.values import Fields, SetAside, from_json, is_empty
from shed.data.records import Message

TrainOn = Literal["all", "last"]


def conversation(value: Any, ignored: Collection[str], untold_weight: float = 1.0) -> list[Message]:
    """The turns of a list, or of JSON text of one.

    An entry may be an object, JSON text of one, a plain text (the user and the assistant speak in turn) or an object with the
    texts `input` and `output`, which is two turns.

    Args:
        value: the list.
        ignored: keys that may stay unused.
        untold_weight: of an assistant's turn that has none of its own.

    Raises:
        SetAside: it is no such list, or a turn cannot be read.
    """
    turns = from_json(value, "a conversation")
    if not isinstance(turns, list) or not turns:
        raise SetAside("a conversation is not a list of turns, or has none")
    if all(isinstance(turn, str) for turn in turns):
        if not all(turn.startswith("{") for turn in turns):
            return [
                Message("assistant", turn, untold_weight) if n % 2 else Message("user", turn) for n, turn in enumerate(turns)
            ]
        turns = [from_json(turn, "a turn") for turn in turns]
    messages: list[Message] = []
    for turn in turns:
        if isinstance(turn, dict) and "input" in turn and "output" in turn:
            fields = Fields(turn, ignored)
            messages += [Message("user", fields.text("input")), Message("assistant", fields.text("output"), untold_weight)]
            fields.refuse_unused("a turn")
        else:
            messages.append(turn_of(turn, ignored, untold_weight))
    return messages


def with_system(messages: list[Message], system: str) -> list[Message]:
    """The conversation behind a system text that stands beside it.

    Raises:
        SetAside: it has another one of its own.
    """
    if not system.strip():
        return messages
    if messages and messages[0].role == "system":
        if messages[0].content != system:
            raise SetAside("has two system texts that differ")
        return messages
    return [Message("system", system), *messages]


def refuse_disorder(messages: Sequence[Message]) -> None:
    """Refuse an order of turns that chat templates refuse or garble, and empty turns.

    A system turn is the first or there is none; then the user and the assistant take turns, and results of tools follow the
    assistant or each other. The assistant may speak first, as in role play, where a user follows; it speaks last.

    Raises:
        SetAside: the order is another, or a turn of the user or the assistant is empty.
    """
    spoken = messages[1:] if messages and messages[0].role == "system" else messages
    roles = [turn.role for turn in spoken]
    if "system" in roles:
        raise SetAside("a system turn is not the first")
    if "user" not in roles:
        raise SetAside("has no turn of the user")
    if spoken[-1].role != "assistant":
        raise SetAside("ends without a response")
    before = None
    for turn in spoken:
        if turn.role == before != "tool":
            raise SetAside(f"two turns in a row are the {turn.role}'s")
        if turn.role == "tool" and before not in ("assistant", "tool"):
            raise SetAside("a tool's result does not follow the assistant's turn")
        if turn.role != "tool" and is_empty(turn.text):
            raise SetAside(f"a turn of the {turn.role} is empty")
        before = turn.role


def trained(messages: Sequence[Message], train_on: TrainOn, row_weight: float) -> tuple[Message, ...]:
    """The conversation with the weights that it is trained with.

    Args:
        messages: with the weights of their own.
        train_on: every assistant's turn that has a weight, or the last one alone.
        row_weight: multiplies all of them.

    Raises:
        SetAside: no turn is trained.
    """
    weighted = list(messages)
    for n, turn in enumerate(messages):
        weight = turn.weight * row_weight if train_on == "all" or n == len(messages) - 1 else 0.0
        if turn.trained and weight != turn.weight:
            weighted[n] = replace(turn, weight=weight)
    if math.inf in [turn.weight for turn in weighted]:
        raise SetAside("has a weight that is too large")
    if True not in [turn.trained for turn in weighted]:
        raise SetAside("has no turn to train on")
    return tuple(weighted)
