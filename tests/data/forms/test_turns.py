"""Turns of conversations: tools and calls, contents, the order of turns, and which of them are trained."""

import json
from typing import Any

import pytest
from row_reading import CALL, TOOL, Row, messages, read, reason, turns

from shed.common.errors import ShedError
from shed.data.forms.found import form_found
from shed.data.forms.turns import ROLES
from shed.data.records import Message

# Tools and calls


@pytest.mark.parametrize(
    "calling",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": CALL}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]},
        {"role": "assistant", "content": "", "tool_calls": json.dumps([CALL])},
        {"role": "assistant", "function_call": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
        {"role": "assistant", "content": [{"type": "tool_call", "value": json.dumps(CALL)}]},
        {"role": "assistant", "content": [{"type": "tool_calls", "content": [CALL]}]},
        {"from": "function_call", "value": json.dumps(CALL)},
        {"from": "function_call", "value": json.dumps([CALL])},
        {"role": "tool_call", "content": json.dumps(CALL)},
    ],
)
@pytest.mark.parametrize(
    "tools",
    [[TOOL], json.dumps([TOOL]), [{"type": "function", "function": TOOL}], [{"type": "function", **TOOL}], [json.dumps(TOOL)]],
)
def test_calls_and_tools_have_one_form_whatever_they_were_written_in(calling: Row, tools: Any) -> None:
    row = messages("uOslo?", tools=tools)
    row["messages"] += [
        calling,
        {"role": "tool", "name": "weather", "content": {"t": 20}},
        {"role": "assistant", "content": "20"},
    ]
    record = read(row)
    assert json.loads(record.messages[1].tool_calls) == [{"type": "function", "function": CALL}]
    assert json.loads(record.tools) == [{"type": "function", "function": TOOL}]
    assert record.messages[1].content == ""
    assert record.messages[2] == Message("tool", '{"t": 20}', name="weather")


def test_ids_tie_results_to_calls_and_several_results_may_follow() -> None:
    calls = [{"id": f"c{n}", "type": "function", "function": CALL} for n in range(2)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": str(n)} for n in range(2)]
    row = messages("uOslo?")
    row["messages"] += [
        {"role": "assistant", "content": "", "tool_calls": calls},
        *results,
        {"role": "assistant", "content": "0, 1"},
    ]
    record = read(row)
    assert [call["id"] for call in json.loads(record.messages[1].tool_calls)] == ["c0", "c1"]
    assert [turn.tool_call_id for turn in record.messages[2:4]] == ["c0", "c1"]


def test_a_call_can_be_the_response() -> None:
    record = read(
        {"conversations": [{"from": "human", "value": "Oslo?"}, {"from": "function_call", "value": json.dumps(CALL)}]}
    )
    assert json.loads(record.messages[-1].tool_calls) == [{"type": "function", "function": CALL}]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("look it up", "a tool call is text, and not valid JSON"),
        ('{"name": "f", "arguments": [1]}', "`arguments` of the call of 'f' is not an object"),
        ('{"name": "f", "arguments": "x = 1"}', "`arguments` of the call of 'f' is text, and not valid JSON"),
        ('{"arguments": {}}', "a tool call has no name"),
        ('{"name": "f", "parameters": {"a": 1}}', "the key 'parameters' of a tool call is not used"),
        ('{"name": "f", "arguments": {"a": 1, "a": 2}}', "not valid JSON"),
        ('{"name": "f", "arguments": {"a": ' + "[" * 5000 + "]" * 5000 + "}}", ""),
        ('{"name": "f", "arguments": {"a": ' + "[" * 200 + "]" * 200 + "}}", "nested too deeply"),
        ('{"name": "f", "arguments": {"a": "\\u0000"}}', "holds the control character U+0000"),
        ('{"name": "f", "arguments": {"a": "\\f"}}', "holds the control character U+000C"),
        ('{"name": "f", "arguments": {"a": "\\ud800"}}', "holds the control character U+D800"),
    ],
)
def test_a_call_that_is_none_sets_the_row_aside(call: str, said: str) -> None:
    assert said in reason({"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": call}]})


def test_a_backslash_before_u_is_no_control_character() -> None:
    call = {"name": "f", "arguments": {"pattern": "\\u0000 \\b"}}
    record = read({"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": json.dumps(call)}]})
    assert json.loads(record.messages[-1].tool_calls)[0]["function"] == call


# Contents and reasoning


def test_parts_of_a_turn_are_its_reasoning_text_and_calls() -> None:
    for name in ("text", "value", "content"):
        parts = [{"type": "thinking", name: "hm"}, {"type": "text", name: "one "}, {"type": "text", name: "two"}]
        row = {"messages": [{"role": "user", "content": ["q"]}, {"role": "assistant", "content": parts}]}
        assert read(row).messages == (Message("user", "q"), Message("assistant", "one two", reasoning="hm"))
    for key in ("reasoning_content", "reasoning", "thinking"):
        row = messages("uq", "aa")
        row["messages"][1][key] = "hm"
        assert read(row).messages[1] == Message("assistant", "a", reasoning="hm")


def test_turns_of_gemini_are_read() -> None:
    parts = [{"text": "hm", "thought": True}, {"text": "a"}]
    contents = [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": parts}]
    row = {"systemInstruction": {"role": "user", "parts": [{"text": "s"}]}, "contents": contents}
    with pytest.raises(ShedError, match=r"set the columns: \{messages: contents, system: systemInstruction\}"):
        form_found("my.jsonl", [row], {})
    read_as = read(row, columns={"messages": "contents", "system": "systemInstruction"}).messages
    assert read_as == (Message("system", "s"), Message("user", "q"), Message("assistant", "a", reasoning="hm"))
    parts.append({"functionCall": {"name": "f", "args": {}}})
    assert reason({"messages": contents}) == (
        "a part of the type 'functionCall' is not read; write it under `tool_calls` of the turn"
    )


def test_a_system_text_that_is_empty_is_none() -> None:
    for system in (None, "", [], {}):
        assert read(messages("uq", "aa", system=system)).messages == read(messages("uq", "aa")).messages
    assert reason(messages("uq", "aa", system=7)) == "'system' is not text but a number; write it as text"


def test_turns_of_an_export_of_claude_are_read() -> None:
    talk = [("human", "q"), ("assistant", "a")]
    turns_ = [{"uuid": "1", "sender": who, "text": text, "content": [{"type": "text", "text": text}]} for who, text in talk]
    row = {"uuid": "0", "created_at": "2024-01-01", "chat_messages": turns_}
    with pytest.raises(ShedError, match=r"set the columns: \{messages: chat_messages\}"):
        form_found("my.json", [row], {})
    assert turns(read(row, columns={"messages": "chat_messages"})) == [("user", "q"), ("assistant", "a")]
    turns_[1]["text"] = "b"
    assert "the key 'text' of a turn is not used" in reason(row, columns={"messages": "chat_messages"})
    for turn in turns_:
        del turn["content"]
    assert turns(read(row, columns={"messages": "chat_messages"})) == [("user", "q"), ("assistant", "b")]


def test_a_system_text_in_parts_and_thinking_in_parts_are_read() -> None:
    """Anthropic's system text, and the thinking of Mistral's models."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}], "closed": True}
    answer = {"role": "assistant", "content": [thinking, {"type": "text", "text": "a"}]}
    row = {"system": [{"type": "text", "text": "s"}], "messages": [{"role": "user", "content": "q"}, answer]}
    assert read(row).messages == (Message("system", "s"), Message("user", "q"), Message("assistant", "a", reasoning="hm"))


def test_what_decides_is_said_before_what_is_to_be_ignored() -> None:
    """A call of Anthropic's is not read: that its thinking has a signature is no use to know."""
    parts = [
        {"type": "thinking", "thinking": "hm", "signature": "xyz"},
        {"type": "tool_use", "id": "1", "name": "f", "input": {}},
    ]
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": parts}]}
    assert reason(row) == "a part of the type 'tool_use' is not read; write it under `tool_calls` of the turn"
    row["messages"][0]["content"] = [{"type": "tool_result", "tool_use_id": "1", "content": "r"}]
    assert reason(row) == "a part of the type 'tool_result' is not read; write it as a turn of the role tool"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"type": "image_url", "image_url": {"url": "x"}}], "a part of the type 'image_url' is not read"),
        ([{"type": "text", "text": "a", "bold": "yes"}], "the key 'bold' of a part of a turn's content is not used"),
        (
            [{"type": "text", "text": "a"}, {"type": "reasoning", "text": "b"}],
            "in another order than reasoning, text, tool calls",
        ),
        ([{"text": "a"}], "neither text nor a list of typed parts"),
        (7, "neither text nor a list of typed parts"),
        ([{"type": "text", "text": 7}], "'text' is not text but a number"),
        ([{"type": "thinking", "thinking": [{"a": 1}]}], "'thinking' is not text but a list"),
        (None, "a turn of the assistant is empty"),
        (" \n", "a turn of the assistant is empty"),
    ],
)
def test_a_content_that_is_not_text_is_told(content: Any, said: str) -> None:
    assert said in reason({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]})


# Order of turns


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["uq", "aa", "uq"], "ends without a response"),
        (["uq", "uq", "aa"], "two turns in a row are the user's"),
        (["uq", "aa", "aa"], "two turns in a row are the assistant's"),
        (["uq", "ss", "aa"], "a system turn is not the first"),
        (["ss", "ss", "uq", "aa"], "a system turn is not the first"),
        (["uq", "tr", "aa"], "a tool's result does not follow the assistant's turn"),
        (["ss", "aa"], "has no turn of the user"),
        (["aa"], "has no turn of the user"),
        ([], "a conversation is not a list of turns, or has none"),
        (["u ", "aa"], "a turn of the user is empty"),
        (["uq", "a", "uq", "aa"], "a turn of the assistant is empty"),
    ],
)
def test_turns_that_templates_would_refuse_or_garble_are_told(said: list[str], told: str) -> None:
    assert reason(messages(*said)) == told


def test_the_assistant_may_greet_first_and_a_system_turn_may_be_empty() -> None:
    assert turns(read(messages("s", "aHail!", "uWho are you?", "aA knight."))) == [
        ("system", ""),
        ("assistant", "Hail!"),
        ("user", "Who are you?"),
        ("assistant", "A knight."),
    ]


def test_roles_of_all_usual_names() -> None:
    for name, role in ROLES.items():
        if role == "system":
            assert (
                read({"messages": [{"role": name, "content": "s"}, *messages("uq", "aa")["messages"]]}).messages[0].role == role
            )
    assert reason({"messages": [{"role": "narrator", "content": "x"}]}) == "the role 'narrator' is not known"
    assert reason({"messages": [{"content": "x"}]}) == "a turn has no role"


# Weights


@pytest.mark.parametrize(
    ("key", "value", "weight"),
    [
        ("weight", 0, 0),
        ("loss_weight", 0.5, 0.5),
        ("train", False, 0),
        ("training", True, 1),
        ("weight", None, 1),
        ("weight", 2, 2),
    ],
)
def test_a_turn_has_the_weight_it_says(key: str, value: Any, weight: float) -> None:
    row = messages("uq", "aa", "uq", "aa")
    row["messages"][1][key] = value
    row["messages"][2][key] = 0  # as SlimOrca and LLaMA-Factory write it for the user's turns
    assert [turn.weight for turn in read(row).messages if turn.role == "assistant"] == [weight, 1]


def test_a_row_that_says_not_to_train_or_how_much() -> None:
    assert [turn.weight for turn in read(messages("uq", "aa", "uq", "aa", weight=0.5)).messages] == [1, 0.5, 1, 0.5]
    assert read({"instruction": "q", "output": "a", "loss_weight": "0.25"}).messages[1].weight == 0.25  # CSV has texts
    for key, value in (("train", False), ("training", "false"), ("skip", True)):
        assert reason(messages("uq", "aa", **{key: value})) == "says not to train on it"
    assert reason(messages("uq", "aa", weight=0)) == "has no turn to train on"
    assert reason(messages("uq", "aa", weight=-1)) == "'weight' is below 0 or not finite"
    assert reason(messages("uq", "aa", weight="much")) == "'weight' is not a number"
    read(messages("uq", "aa", skip=False, train=True))


def test_only_the_assistant_is_trained() -> None:
    row = messages("uq", "aa")
    row["messages"][0]["weight"] = 1
    assert reason(row).startswith("a turn of the role user has a weight above 0; only the assistant's are trained; make it 0")
    row = messages("uq", "aa")
    row["messages"][1] |= {"weight": 0, "train": True}
    assert reason(row) == "a turn has two weights that differ"


def test_a_weight_that_is_ignored_changes_what_is_trained() -> None:
    """axolotl's rows may train a human's turn, which shed cannot: who ignores the key has all the assistant's turns trained."""
    row = messages("uq", "aa", "uq", "aa")
    for turn, told in zip(row["messages"], (True, False, False, True), strict=True):
        turn["train"] = told
    assert "or ignore its key, then all the assistant's are trained alike" in reason(row)
    assert reason(row, ignore=["*"]) == reason(row)  # which ignores what is not used, and a weight is used
    assert [turn.trained for turn in read(row, ignore=["train"]).messages] == [False, True, False, True]


def test_the_last_turn_alone_is_trained_if_asked_for() -> None:
    row = messages("uq", "aa", "uq", "aa")
    assert [turn.trained for turn in read(row, train_on="last").messages] == [False, False, False, True]
    row["messages"][3]["weight"] = 0
    assert [turn.trained for turn in read(row).messages] == [False, True, False, False]
    assert reason(row, train_on="last") == "has no turn to train on"


def test_a_completion_is_trained_and_its_prompt_is_not() -> None:
    row = {"prompt": messages("uq", "aa", "uq")["messages"], "completion": messages("aa", "uq", "aa")["messages"]}
    assert [turn.trained for turn in read(row).messages] == [False, False, False, True, False, True]
    assert read({key: json.dumps(value) for key, value in row.items()}).messages == read(row).messages
    row["prompt"][1]["weight"] = 1
    assert reason(row) == "a turn of the prompt has a weight above 0"
