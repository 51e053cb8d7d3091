"""A user brings files, in one of the usual forms, or with one of the usual mistakes."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shed.common.errors import ShedError
from shed.data.readers import FIRST_ROWS, BadRecord, ReaderSettings, Reading, read_user
from shed.data.records import Record

ALPACA = {"instruction": "q", "output": "a"}
CHAT = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}


def settings(**changed: Any) -> ReaderSettings:
    told: dict[str, Any] = {
        "form": None,
        "columns": None,
        "list_key": None,
        "ignore": (),
        "train_on": "all",
        "max_row_mb": 1.0,
    }
    return ReaderSettings(**(told | changed))


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def read(path: Path | str, name: str | None = None, **changed: Any) -> list[Record | BadRecord]:
    return list(read_user(str(path), settings(**changed), name))


def records(path: Path | str, **changed: Any) -> list[Record]:
    return [one for one in read(path, **changed) if isinstance(one, Record)]


def test_a_file_of_rows_with_bad_ones_among_them(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.jsonl", ALPACA, '{"instruction": "a", ', {**ALPACA, "image": "x"}, {**ALPACA, "output": " "}, CHAT
    )
    reading = Reading()
    first, *bad = read_user(str(path), settings(), reading=reading)
    assert isinstance(first, Record)
    assert (first.prompt, first.response, first.source, first.origin) == ("q", "a", "mine", f"{path}, line 1")
    assert bad == [
        BadRecord(f"{path}, line 2", "mine", "not valid JSON", '{"instruction": "a",'),
        BadRecord(
            f"{path}, line 3",
            "mine",
            "the key 'image' is not used by the form alpaca; name it as a column, or ignore it if it says nothing",
            json.dumps({**ALPACA, "image": "x"}),
            "ignored keys",
        ),
        BadRecord(f"{path}, line 4", "mine", "a turn of the assistant is empty", json.dumps({**ALPACA, "output": " "})),
        BadRecord(f"{path}, line 5", "mine", "not of the form alpaca; it has the keys 'messages'", json.dumps(CHAT)),
    ]
    assert reading.told() == [f"{path}: 1 row of the form alpaca; 4 rows set aside"]
    assert reading.forms == {"alpaca": 1}


def test_the_source_is_given_or_the_rows_own_or_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.v2.jsonl", {**ALPACA, "source": "web"}, ALPACA, {**ALPACA, "source": None}, "{")
    assert [one.source for one in read(path)] == ["web", "mine.v2", "mine.v2", "mine.v2"]
    assert [one.source for one in read(path, name="theirs")] == ["theirs"] * 4


def test_a_folder_of_files_of_several_forms(tmp_path: Path) -> None:
    write(tmp_path / "in/a.jsonl", *[ALPACA] * 1500)
    write(tmp_path / "in/b/chat.json", json.dumps({"data": [CHAT, CHAT]}))
    write(tmp_path / "in/c.csv", "question,answer,category", 'why?,"because,\nyes",x', "how?,so,x")
    reading = Reading()
    found = list(read_user(str(tmp_path / "in"), settings(), reading=reading))
    assert [one.response for one in found[1500:] if isinstance(one, Record)] == ["a", "a", "because,\nyes", "so"]
    assert [line.removeprefix(f"{tmp_path}/in/") for line in reading.told()] == [
        "a.jsonl: 1,500 rows of the form alpaca",
        "b/chat.json: 2 rows of the form messages",
        "c.csv: 2 rows of the form question_answer",
    ]
    assert reading.forms == {"alpaca": 1500, "messages": 2, "question_answer": 2}


def test_files_of_one_name_are_sources_of_their_own(tmp_path: Path) -> None:
    for name in ("a/x.jsonl", "b/x.jsonl", "b/y.jsonl"):
        write(tmp_path / "in" / name, ALPACA)
    assert [one.source for one in read(tmp_path / "in")] == ["a/x", "b/x", "y"]
    write(tmp_path / "in/b/x.json", "[" + json.dumps(ALPACA) + "]")
    assert sorted(one.source for one in read(tmp_path / "in")) == ["a/x", "b/x.json", "b/x.jsonl", "y"]
    assert {one.source for one in read(f"{tmp_path}/in/**/*.jsonl", name="all")} == {"all"}


def test_a_json_file_beside_the_data_is_left_out_and_told(tmp_path: Path) -> None:
    """A folder as the hub has it, with a description of the data set among its files."""
    write(tmp_path / "in/train.jsonl", ALPACA, ALPACA)
    beside = write(tmp_path / "in/dataset_infos.json", json.dumps({"default": {"features": {"a": {"dtype": "string"}}}}))
    reading = Reading()
    assert len(list(read_user(str(tmp_path / "in"), settings(), reading=reading))) == 2
    assert reading.told()[1] == f"{beside}: left out, since it is one JSON object without a list of rows"
    assert len(read(tmp_path / "in", list_key="data")) == 2
    with pytest.raises(ShedError, match=r"dataset_infos\.json: one JSON object with 'default', of which none hold a list"):
        read(beside)  # named itself, it is meant
    chat = write(tmp_path / "in/chat.json", json.dumps(CHAT))  # a row, though not a list of rows
    with pytest.raises(ShedError, match=r"chat\.json: one JSON object with 'messages'"):
        read(tmp_path / "in")
    for path in (chat, tmp_path / "in/train.jsonl"):
        path.unlink()
    write(tmp_path / "in/more.json", "{}")
    with pytest.raises(ShedError, match=r"holds no rows but .*dataset_infos\.json, .*more\.json, each one JSON object"):
        read(tmp_path / "in")


def test_a_file_of_bad_rows_alone_is_told_with_what_is_wrong(tmp_path: Path) -> None:
    write(tmp_path / "in/good.jsonl", ALPACA)
    path = tmp_path / "in/latin.csv"
    path.write_bytes("question,answer\nWo?,München\nWer?,Jürgen\n".encode("latin-1"))
    reading = Reading()
    list(read_user(str(tmp_path / "in"), settings(), reading=reading))
    assert reading.told()[1] == f"{path}: 2 rows set aside, all there are; most often: not UTF-8"


def test_the_form_is_that_of_most_of_the_first_rows_and_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path / "mixed.jsonl", CHAT, *[ALPACA] * (FIRST_ROWS - 1), *[CHAT] * 30)
    assert [isinstance(one, Record) for one in read(path)] == [False] + [True] * (FIRST_ROWS - 1) + [False] * 30
    assert len(records(path, form="messages")) == 31


def test_bad_lines_at_the_start_do_not_hide_the_form(tmp_path: Path) -> None:
    path = write(tmp_path / "late.jsonl", *["7"] * (FIRST_ROWS + 5), ALPACA, ALPACA)
    assert len(records(path)) == 2
    only_bad = read(write(tmp_path / "bad.jsonl", "{'a'}", "7"))
    assert [one.reason for one in only_bad if isinstance(one, BadRecord)] == ["not valid JSON", "not a JSON object"]


@pytest.mark.parametrize(
    ("rows", "changed", "said"),
    [
        ([], {}, "holds no rows"),
        ([{"a": 1, "b": 2}], {}, "rows of no form that is known; they have the keys 'a', 'b'; set the columns"),
        ([{"text": "### Human: Hi"}], {}, "its `text` does not say where the prompt ends"),
        ([{"promt": "q", "response": "a"}], {}, "'promt': did you mean 'prompt'?; set the columns"),
        (
            [{"q": "x", "output": "a"}],
            {"columns": {"prompt": "frage", "response": "output"}},
            "no column 'frage' for the prompt",
        ),
        ([{"question": "q", "note": "a"}], {"columns": {"prompt": "qestion"}}, "did you mean 'question'? it has the keys 'no"),
        (
            [ALPACA],
            {"columns": {"promt": "instruction"}},
            "columns: 'promt' is not a name of ours; did you mean 'prompt'? there are",
        ),
        ([ALPACA], {"form": "alpacca"}, "no form is called 'alpacca'; did you mean 'alpaca'? there are"),
        ([ALPACA], {"columns": {"question": "instruction"}}, "columns: 'question' is not a name of ours; there are prompt"),
        ([ALPACA], {"form": "vicuna"}, "no form is called 'vicuna'; there are messages"),
    ],
)
def test_a_file_of_no_form_gets_one_line_that_says_what_to_do(
    tmp_path: Path, rows: list[object], changed: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "bad.jsonl", *rows)
    with pytest.raises(ShedError) as error:
        read(path, **changed)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    if "columns" not in said and "called" not in said:
        assert str(path) in str(error.value)


def test_an_absent_file_and_a_name_with_a_control_character(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="no such file or folder"):
        read(tmp_path / "nowhere.jsonl")
    write(tmp_path / "in/a\x07b.jsonl", ALPACA)
    with pytest.raises(ShedError, match=r"'a\\x07b.jsonl': the file's path holds a control character; rename it"):
        read(tmp_path / "in")
    with pytest.raises(ShedError, match="the name of a source must be a single line"):
        read(write(tmp_path / "good.jsonl", ALPACA), name="two\nlines")


def test_a_table_gives_each_object_only_its_own_keys(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {"city": "Oslo"}}}
    other = {"type": "function", "function": {"name": "g", "arguments": {"n": 1}}}
    rows = [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [one]}]}
        for one in (call, other)
    ]
    rows.append({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "calls.parquet")
    found = records(tmp_path / "calls.parquet")
    assert [json.loads(one.messages[1].tool_calls or "[]") for one in found] == [[call], [other], []]
    assert (found[0].source, found[0].origin) == ("calls", f"{tmp_path}/calls.parquet, row 1")


def test_a_saved_dataset_is_one_file(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([ALPACA, {**ALPACA, "output": "b"}]).save_to_disk(str(tmp_path / "saved"))
    reading = Reading()
    found = list(read_user(str(tmp_path / "saved"), settings(), reading=reading))
    assert [(one.response, one.source) for one in found if isinstance(one, Record)] == [("a", "saved"), ("b", "saved")]
    assert reading.told() == [f"{tmp_path}/saved: 2 rows of the form alpaca"]


def test_records_that_were_written_are_read_back(tmp_path: Path) -> None:
    row = {**CHAT, "choices": ["a", "b"], "answer": 0, "tools": [{"name": "f"}], "source": "web"}
    (record,) = records(write(tmp_path / "first.jsonl", row))
    (again,) = records(write(tmp_path / "selection.jsonl", {**record.to_row(), "cluster": 1, "reason": "top", "rating": 0.5}))
    assert again.origin == f"{tmp_path}/selection.jsonl, line 1"
    assert {**again.to_row(), "origin": record.origin} == record.to_row()
    assert json.loads(again.given) == row


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = json.dumps({"instruction": "q" * 500, "output": "a" * 500})
    peaks = []
    for count in (1500, 4500):
        path = write(tmp_path / f"{count}.jsonl", *[row] * count)
        tracemalloc.start()
        assert sum(1 for _ in read_user(str(path), settings())) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000
