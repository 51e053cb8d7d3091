"""A user brings a file of records, in one of the usual forms, or with one of the usual mistakes."""

import json
from pathlib import Path

import pytest

from shed.common.errors import ShedError
from shed.data.readers import read_user_file
from shed.data.records import from_row, normalise, single_turn


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_alpaca_rows_in_jsonl_become_records(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.jsonl",
        {"instruction": "Translate.", "input": "Hund", "output": "dog"},
        {"instruction": "Say hello.", "input": "", "output": "Hello!", "source": "greetings"},
    )
    first, second = read_user_file(path)
    assert first.prompt == "Translate.\n\nHund"
    assert first.response == "dog"
    assert (first.source, first.origin) == ("mine", f"{path}, line 1")
    assert (second.prompt, second.source) == ("Say hello.", "greetings")


def test_a_json_list_of_messages_keeps_all_turns(tmp_path: Path) -> None:
    turns = [("system", "Be brief."), ("user", "2+2?"), ("assistant", "4"), ("user", "3+3?"), ("assistant", "6")]
    path = tmp_path / "chat.json"
    path.write_text(json.dumps([{"messages": [{"role": role, "content": content} for role, content in turns]}]))
    (record,) = read_user_file(path)
    assert record.messages == tuple(turns)
    assert record.response == "6"


def test_the_id_is_the_content_and_a_row_survives_the_round_trip() -> None:
    record = single_turn("q", "a", "one", "here", ["a", "b"], 0)
    assert record.id == single_turn("q", "a", "another", "there").id
    assert record.id != single_turn("q", "b", "one", "here").id
    assert from_row(json.loads(json.dumps(record.to_row()))) == record


def test_near_copies_normalise_to_the_same_text() -> None:
    assert normalise("Hello,  World!") == normalise("hello world") == "hello world"
    assert normalise("???") == "???"  # nothing but punctuation stays itself, so that such records are not all "equal"


GOOD = {"instruction": "a", "output": "b"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "holds no records"),
        (['{"instruction": "a", '], "line 1: not valid JSON"),
        ([GOOD, "7"], "line 2: a record must be a JSON object, not int"),
        ([GOOD, {"instruction": "a"}], "line 2: a record needs `messages`, or `instruction` and `output`"),
        (['{"instruction": "a", "output": NaN}'], "line 1: `output` must be text, not NaN"),
        ([{"instruction": 3, "output": "b"}], "line 1: `instruction` must be text, not 3"),
        ([{"id": 1, **GOOD}, {"id": 1, "instruction": "c", "output": "d"}], "line 2: id 1 was already used at"),
        ([{"messages": [{"role": "user", "content": "a"}]}], "at least two objects"),
        (
            [{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}],
            "last message must be the assistant's",
        ),
        (
            [{"messages": [{"role": "human", "content": "a"}, {"role": "assistant", "content": "b"}]}],
            "role 'human' is not one of",
        ),
        ([{**GOOD, "choices": ["b", "c"], "answer": 2}], "`choices` must be a list of texts and `answer` the index"),
    ],
)
def test_a_bad_file_gets_one_line_that_says_what_and_where(tmp_path: Path, rows: list[object], said: str) -> None:
    with pytest.raises(ShedError) as error:
        read_user_file(write(tmp_path / "bad.jsonl", *rows))
    assert said in str(error.value)
    assert "bad.jsonl" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_file_and_a_file_in_latin_1(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.raises(ShedError, match=r"table\.csv: a file of records must be JSON or JSONL"):
        read_user_file(tmp_path / "table.csv")
    with pytest.raises(ShedError, match="no such file"):
        read_user_file(tmp_path / "nowhere.jsonl")
    (tmp_path / "latin.jsonl").write_bytes('{"instruction": "caf\xe9", "output": "b"}'.encode("latin-1"))
    with pytest.raises(ShedError, match="byte 20 is not UTF-8"):
        read_user_file(tmp_path / "latin.jsonl")
