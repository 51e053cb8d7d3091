"""Rows of every form become the same records, and nothing that a row says is dropped without a word."""

import json
from typing import Any, get_args

import pytest
from row_reading import CALL, TOOL, Row, messages, read, reason, turns

from shed.data.forms.found import NEEDS, FormName, form_found
from shed.data.forms.rows import RowReader
from shed.data.forms.values import SetAside
from shed.data.records import Message

EARLIER = [("user", "q0"), ("assistant", "a0")]
LAST = [("user", "q\n\nx"), ("assistant", "a")]


@pytest.mark.parametrize(
    ("form", "row", "expected"),
    [
        ("alpaca", {"instruction": "q", "input": "x", "output": "a"}, LAST),
        (
            "alpaca",
            {"instruction": "q", "input": "x", "output": "a", "system": "s", "history": [["q0", "a0"]]},
            [("system", "s"), *EARLIER, *LAST],
        ),
        ("alpaca", {"instruction": "", "input": "x", "output": "a"}, [("user", "x"), ("assistant", "a")]),
        ("instruction_response", {"instruction": "q", "context": "x", "response": "a", "category": "open_qa"}, LAST),
        ("instruction_response", {"instruction": "q", "input": "x", "response": "a"}, LAST),
        ("question_answer", {"question": "q", "context": "x", "answer": "a"}, LAST),
        ("question_answer", {"question": "q", "context": "x", "answers": ["a", "or a"]}, LAST),
        (
            "question_answer",
            {"id": "1", "question": "q", "context": "x", "answers": {"text": ["a"], "answer_start": [0]}},
            LAST,
        ),
        (
            "question_answer",
            {"id": "1", "system_prompt": "s", "question": "q\n\nx", "response": "a"},
            [("system", "s"), *LAST],
        ),
        ("prompt_completion", {"prompt": "q\n\nx", "completion": "a"}, LAST),
        ("columns", {"prompt": "q", "context": "x", "response": "a"}, LAST),
        ("messages", messages("ss", "uq0", "aa0", "uq\n\nx", "aa"), [("system", "s"), *EARLIER, *LAST]),
        ("messages", {"messages": json.dumps(messages("uq\n\nx", "aa")["messages"])}, LAST),
        ("messages", {"messages": [json.dumps(turn) for turn in messages("uq\n\nx", "aa")["messages"]]}, LAST),
        (
            "sharegpt",
            {"conversations": [{"from": "human", "value": "q\n\nx"}, {"from": "gpt", "value": "a"}], "system": "s"},
            [("system", "s"), *LAST],
        ),
        ("sharegpt", {"conversations": messages("uq\n\nx", "aa")["messages"]}, LAST),
        ("sharegpt", {"conversations": ["q0", "a0", "q\n\nx", "a"]}, [*EARLIER, *LAST]),
        (
            "sharegpt",
            {"conversation": [{"input": "q0", "output": "a0"}, {"input": "q\n\nx", "output": "a"}]},
            [*EARLIER, *LAST],
        ),
    ],
)
def test_every_form_is_found_and_gives_its_turns(form: FormName, row: Row, expected: list[tuple[str, str]]) -> None:
    assert form_found("my.jsonl", [row], {}) == form
    record = read(row)
    assert turns(record) == expected
    assert [turn.trained for turn in record.messages] == [role == "assistant" for role, _ in expected]
    assert json.loads(record.given) == row


def test_the_forms_that_a_user_can_set_are_those_that_are_found() -> None:
    assert set(get_args(FormName)) == set(NEEDS)


def test_texts_stay_as_they_are() -> None:
    text = "  <think>\nhm </think>\n\n<|im_end|> {{name}} \t é ²\u200d \r\n"
    assert read({"instruction": text, "output": text}).messages == (Message("user", text), Message("assistant", text))


# Keys


def test_every_key_is_used_or_known_or_empty_or_told() -> None:
    row = {"instruction": "q", "output": "a"}
    assert reason({**row, "image": "cat.png"}) == (
        "the key 'image' is not used by the form alpaca; name it as a column, or ignore it if it says nothing"
    )
    assert "the keys 'image', 'label' are not used" in reason({**row, "image": "x", "label": 1})
    read({**row, "image": None, "audio": [], "note": " ", "extra": {}, "id": 7, "License": "MIT"})
    read({**row, "image": "cat.png"}, ignore=["image"])
    read({**row, "image": "cat.png", "label": False}, ignore=["*"])
    for key in ("response", "answer", "rejected", "reasoning", "label", "reason"):
        assert f"the key {key!r} is not used" in reason({**row, key: "x"}, form="alpaca")


def test_a_key_of_a_turn_is_used_or_told() -> None:
    row = messages("uq", "aa")
    row["messages"][0]["image"] = "cat.png"
    assert reason(row) == "the key 'image' of a turn is not used; ignore it if it says nothing"
    read(row, ignore=["image"])


def test_a_key_that_only_repeats_the_row_is_not_needed() -> None:
    read(messages("uHello", "aHi", prompt="Hello", prompt_id="x"))  # as in ultrachat_200k
    row = {"instruction": "q", "input": "", "output": "a"}
    read({**row, "text": "### Instruction:\nq\n\n### Response:\na"})  # as in Alpaca
    assert "the key 'text'" in reason({**row, "output": "b", "text": "### Instruction:\nq\n\n### Response:\na"})


def test_two_names_for_the_same_thing_must_agree() -> None:
    assert reason({"question": "q", "answer": "a", "response": "b"}) == "has both 'answer' and 'response', which differ"
    assert reason(messages("ss", "uq", "aa", system="other")) == "has two system texts that differ"
    read(messages("ss", "uq", "aa", system="s"))
    read({"question": "q", "answer": "a", "response": ""})


def test_an_ignored_column_is_not_looked_at_and_a_turn_keeps_what_it_needs() -> None:
    assert turns(read({"instruction": "q", "output": "a", "system": "s"}, ignore=["system"])) == [
        ("user", "q"),
        ("assistant", "a"),
    ]
    row = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, {"role": "assistant", "content": "a"}],
        "text": 1,
    }
    assert turns(read(row, ignore=["text"])) == [("user", "q"), ("assistant", "a")]


# Columns of the user's own


def test_any_columns_by_their_names() -> None:
    row = {"Frage": "q", "Antwort": "a", "Rolle": "s", "Herkunft": "here", "messages": "", "Gewicht": 0.5}
    columns = {"prompt": "Frage", "response": "Antwort", "system": "Rolle", "source": "Herkunft", "weight": "Gewicht"}
    record = read(row, columns=columns)
    assert turns(record) == [("system", "s"), ("user", "q"), ("assistant", "a")]
    assert (record.source, record.messages[2].weight) == ("here", 0.5)
    assert "the key 'prompt' is not used" in reason({**row, "prompt": "other"}, columns=columns)


def test_preference_pairs_are_tuned_on_their_chosen_response_if_asked_for() -> None:
    row = {"chosen": messages("uq", "aa")["messages"], "rejected": messages("uq", "ab")["messages"]}
    assert turns(read(row, columns={"messages": "chosen"}, ignore=["rejected"])) == [("user", "q"), ("assistant", "a")]
    row = {"prompt": "q", "chosen": "a", "rejected": "b"}
    assert turns(read(row, columns={"response": "chosen"}, ignore=["rejected"])) == [("user", "q"), ("assistant", "a")]
    assert "the key 'rejected' is not used" in reason(row, columns={"response": "chosen"})


# Choices


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["x", "right"], 1),
        (["x", "right"], "right"),
        (["x", "right"], "B"),
        ({"text": ["x", "right"], "label": ["1", "2"]}, "2"),
        ({"text": ["x", "right"], "label": [1, 2]}, "2"),
        ({"text": ["x", "right"], "label": ["1", "2"]}, "right"),
        ({"A": "x", "B": "right"}, "B"),
        ({"A": "x", "B": "right"}, "right"),
        (["B", "right", "A"], "right"),
    ],
)
def test_the_response_is_the_right_option(choices: Any, answer: Any) -> None:
    options = choices.get("text", list(choices.values())) if isinstance(choices, dict) else choices
    for row in (
        {"question": "q", "choices": choices, "answer": answer},
        {"question": "q", "choices": choices, "answerKey": answer},
        {"instruction": "q", "output": "right", "choices": choices, "answer": answer},
        {"instruction": "q", "output": "", "choices": choices, "answer": answer},
        messages("uq", "aright", choices=choices, answer=answer),
    ):
        record = read(row)
        assert record.response == "right"
        assert (record.choices, record.answer) == (tuple(options), 1)


def test_a_letter_is_an_options_text_first() -> None:
    assert read({"question": "q", "choices": ["B", "A"], "answer": "A"}).answer == 1


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"output": "B", "answer": 1}, "the response is another text than the right option"),
        ({"output": "x", "answer": 1}, "the response is another text than the right option"),
        ({"answer": 2}, "`answer` is not one of the choices: as a number it counts from 0, and there are fewer options"),
        ({"answer": -1}, "`answer` is not one of the choices: as a number it counts from 0"),
        ({"answer": True}, "`answer` is not one of the choices: it is no integer and no text; write it as an integer from 0"),
        (
            {"answer": "1"},
            "`answer` is not one of the choices: digits as text, which may count from 0 or from 1; write it as an integer from 0 "
            "(in JSON or Parquet), or as the right option's text",
        ),
        ({"answer": "C"}, "`answer` is not one of the choices: no option has this text or letter"),
        ({}, "`answer` is not one of the choices: it is empty"),
        (
            {"choices": {"text": ["x", "right"], "label": ["1", "2"]}, "answer": 1},
            "a number, where the options have labels; write the right label as text",
        ),
        (
            {"choices": {"A": "x", "B": "right"}, "answer": "1"},
            "no option has this text or label; write it as the right option's label or text",
        ),
        ({"choices": ["x", " x "], "answer": 0}, "fewer than two options, or two that are equal"),
        ({"choices": ["x"], "answer": 0}, "fewer than two options"),
        ({"choices": ["x", " "], "answer": 0}, "`choices` is not a list of texts"),
        ({"choices": [1, 2], "answer": 0}, "`choices` is not a list of texts; write the options as texts, numbers too"),
        ({"choices": {"A": 1, "B": 2}, "answer": "A"}, "`choices` is not a list of texts; write the options as texts"),
    ],
)
def test_a_multiple_choice_row_that_contradicts_itself_is_told(beside: Row, said: str) -> None:
    assert said in reason({"instruction": "q", "output": "", "choices": ["x", "right"], **beside})


# Characters and sources


@pytest.mark.parametrize("character", ["\0", "\x07", "\x0b", "\x1b", "\x7f", "\x85", "\x9f", "\ud800", "\uffff"])
def test_control_characters_are_told_wherever_they_stand(character: str) -> None:
    told = f"holds the control character U+{ord(character):04X}"
    for key in ("instruction", "output", "source", "system"):
        row = {"instruction": "q", "output": "a", key: f"x{character}y"}
        assert reason(row) == told
    row = messages("uq", "aa", "uq", "aa", tools=[{**TOOL, "description": character}])
    assert reason(row) == told
    row = messages("uq", "aa")
    row["messages"][0]["name"] = f"x{character}y"
    assert reason(row) == told


def test_a_source_is_one_line() -> None:
    row = {"instruction": "q", "output": "a"}
    assert read({**row, "source": " mine "}).source == "mine"
    assert [read({**row, "source": value}).source for value in (None, "", 7, {"url": "x"})] == ["my"] * 4
    for source in ("a\nb", "a\u2028b", "a" * 201):
        assert reason({**row, "source": source}) == "`source` is not a single line of at most 200 characters"


def test_bytes_and_numbers_that_json_has_not() -> None:
    row = {"instruction": "q", "output": "a"}
    assert reason({**row, "id": b"x"}) == "holds bytes, not text; ignore their key"
    assert json.loads(read({**row, "image": {"bytes": b"x"}}, ignore=["image"]).given) == row
    images = messages("uq", "aa")
    images["messages"][0] |= {"image": b"x"}
    assert reason(images, ignore=["*"]) == "holds bytes, not text; ignore their key"  # the key is the messages'
    assert reason({**row, "id": float("nan")}) == "holds a number that JSON cannot hold"


# Our own rows


def test_rows_that_the_project_wrote_are_read_back_whole() -> None:
    row = messages("ss", "uq", "aa", "uq", "aright", tools=[TOOL], choices=["x", "right"], answer="right", source="mine")
    row["messages"][2] |= {"weight": 0.5, "tool_calls": [CALL], "reasoning": "hm"}
    record = read(row)
    beside = {"cluster": 3, "score": 0.1, "rating": 0.2, "reason": "highest rating", "selected": True}
    again = read({**record.to_row(), **beside}, form="messages")
    assert again.to_row() | {"origin": record.origin} == record.to_row()
    assert again == record
    given_row = {"instruction": "q", "output": "a", "id": "mine", "shed_id": record.id, "shed_cluster": 3, "reason": "x"}
    assert turns(read(given_row)) == [("user", "q"), ("assistant", "a")]


WEATHER = {"name": "weather", "parameters": {}}
CALLS = [{"name": "weather", "arguments": {"city": "Oslo"}}]


@pytest.mark.parametrize("as_text", [True, False])
def test_answers_that_are_calls_of_the_rows_tools_are_calls_and_not_text(as_text: bool) -> None:
    """As xLAM writes them: as JSON text or as objects."""
    row = {
        "query": "Is it cold?",
        "tools": json.dumps([WEATHER]) if as_text else [WEATHER],
        "answers": json.dumps(CALLS) if as_text else CALLS,
    }
    record = RowReader("question_answer").record(row, None, "f", "o")
    assert record.messages[-1].content == ""
    assert [call["function"] for call in json.loads(record.messages[-1].tool_calls)] == CALLS
    listed = RowReader("question_answer").record({"query": "Which?", "tools": [WEATHER], "answers": '["a"]'}, None, "f", "o")
    assert (listed.messages[-1].content, listed.messages[-1].tool_calls) == ('["a"]', "")


def test_the_row_written_out_by_alpacas_template_is_no_other_text() -> None:
    row = {
        "instruction": "Add.",
        "input": "2 and 2",
        "output": "4",
        "text": "Below …\n\n### Instruction:\nAdd.\n\n### Input:\n2 and 2\n\n### Response:\n4",
    }
    assert RowReader("alpaca").record(row, None, "f", "o").prompt == "Add.\n\n2 and 2"
    with pytest.raises(SetAside, match="'text' is not used"):
        RowReader("alpaca").record(row | {"text": "something else"}, None, "f", "o")
