"""Selected rows leave as files that the usual loaders read: nothing is changed on the way, and what does not fit is told."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
import yaml

from shed.common.errors import ShedError
from shed.data.exports.card import CardFacts, FormCounts
from shed.data.exports.folder import ExportRow, export, export_rows
from shed.data.exports.forms import FORMS, Form, TrainOn
from shed.data.exports.trainers import TrainerSettings
from shed.data.readers import ReaderSettings, read_user
from shed.data.records import Message, Record, from_row, single_turn

SETTINGS = TrainerSettings("org/model", 8, 16, ["q_proj", "v_proj"], 0.001, 0.1, 8, 2, 3, 512)
FACTS = CardFacts("Picked rows", "the best by rating", 1000, {"chat": "Apache-2.0", "tools": "Apache-2.0"})
CITY = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}}
SUM = {"type": "function", "function": {"name": "sum", "parameters": {"numbers": [1, "two"]}}}


def call(name: str, arguments: Any) -> str:
    return json.dumps([{"type": "function", "function": {"name": name, "arguments": arguments}}])


def tool_record(question: str, name: str, arguments: Any, tool: dict[str, Any]) -> Record:
    turns = (
        Message("user", question),
        Message("assistant", "", tool_calls=call(name, arguments)),
        Message("tool", '{"t": 20}', name=name),
        Message("assistant", "Done."),
    )
    return Record(turns, "tools", "tools.jsonl, line 1", tools=json.dumps([tool]))


def conversation(*weights: float, reasoning: str = "") -> Record:
    turns = [Message("system", "Be brief.")]
    for n, weight in enumerate(weights):
        turns += [Message("user", f"question {n}"), Message("assistant", f"reply {n}", weight)]
    turns[-1] = dataclasses.replace(turns[-1], reasoning=reasoning)
    return Record(tuple(turns), "chat", "chat.jsonl, line 1")


@pytest.fixture
def mixed() -> list[Record]:
    return [
        dataclasses.replace(
            single_turn("What is 2+2?\n\n'\"\\ 😀", "4", "chat", "a.json, entry 1"),
            given=json.dumps({"instruction": "What is 2+2?", "input": "'\"\\ 😀", "output": "4", "id": 7, "score": "mine"}),
        ),
        conversation(1, 1),
        conversation(0, 1),
        conversation(1, 0.5),
        conversation(1, reasoning="It is a greeting."),
        single_turn("Which?", "right", "chat", "a.json, entry 9", ["wrong", "right"], 1),
        tool_record("Oslo?", "weather", {"city": "Oslo", "deep": {"a": [1, {"b": 0.5}]}}, CITY),
        tool_record("1+2?", "sum", json.dumps({"numbers": [1, 2]}), SUM),
    ]


def exported(
    records: list[Record], folder: Path, forms: tuple[Form, ...] = FORMS, train_on: TrainOn = "all", facts: CardFacts = FACTS
) -> dict[Form, FormCounts]:
    rows = [
        ExportRow(record, n % 3, n / 8, None if n == 1 else float(n), f"cluster {n} | <b>") for n, record in enumerate(records)
    ]
    return export(rows, folder, forms, facts, SETTINGS, train_on)


def loaded(folder: Path, form: str, kind: str) -> list[dict[str, Any]]:
    """The rows as `datasets` gives them, with the nulls of absent keys taken out."""
    name, end = ("json", "jsonl") if kind == "jsonl" else ("parquet", "parquet")
    cache = str(folder.parent / "cache")
    rows = datasets.load_dataset(name, data_files=str(folder / form / f"train.{end}"), split="train", cache_dir=cache)
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def written(folder: Path, form: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / form / "train.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_every_form_loads_as_it_was_written(mixed: list[Record], tmp_path: Path, kind: str) -> None:
    exported(mixed, tmp_path / "out")
    for form in FORMS:
        rows = [{key: value for key, value in row.items() if value is not None} for row in written(tmp_path / "out", form)]
        assert loaded(tmp_path / "out", form, kind) == rows, form


def test_the_messages_form_keeps_every_record_whole(mixed: list[Record], tmp_path: Path) -> None:
    counts = exported(mixed, tmp_path / "out")
    assert counts["messages"] == FormCounts(len(mixed))
    by_id = {record.id: record for record in mixed}
    for row in loaded(tmp_path / "out", "messages", "parquet"):
        known = by_id.pop(row["id"])
        back = from_row({"origin": known.origin, **row, "tools": json.loads(row.get("tools", "[]"))})
        if known.tools and isinstance(json.loads(known.messages[1].tool_calls)[0]["function"]["arguments"], str):
            assert json.loads(back.messages[1].tool_calls)[0]["function"]["arguments"] == {"numbers": [1, 2]}
            known = back  # the one difference: the arguments are an object
        assert dataclasses.replace(back, given=known.given) == known
    assert not by_id


def read_back(folder: Path, form: str, kind: str) -> dict[str, Record]:
    settings = ReaderSettings(form=None, columns=None, list_key=None, ignore=[], train_on="all", max_row_mb=16.0)
    found = list(read_user(str(folder / form / f"train.{kind}"), settings))
    assert all(isinstance(one, Record) for one in found), found
    return {one.id: one for one in found if isinstance(one, Record)}


def said(record: Record, nameless: bool) -> tuple[tuple[Message, ...], str]:
    return tuple(dataclasses.replace(turn, name="") if nameless else turn for turn in record.messages), record.tools


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_our_own_reader_takes_every_form_and_finds_the_same_records(mixed: list[Record], tmp_path: Path, kind: str) -> None:
    exported(mixed, tmp_path / "first")
    records = read_back(tmp_path / "first", "messages", kind)  # as any record that was read from a file
    assert len(records) == len(mixed)
    counts = exported(list(records.values()), tmp_path / "out")
    assert read_back(tmp_path / "out", "messages", kind).keys() == records.keys()
    for form in ("prompt_completion", "alpaca", "sharegpt"):
        found = read_back(tmp_path / "out", form, kind)
        assert len(found) == counts[form].rows
        nameless = form == "sharegpt"  # a tool's result is of the call before it
        assert {said(record, nameless) for record in found.values()} <= {said(record, nameless) for record in records.values()}
    assert {record.source for record in records.values()} == {"chat", "tools"}
    assert read_back(tmp_path / "first", "given", kind)[mixed[0].id].messages == mixed[0].messages


def test_a_form_leaves_out_what_it_would_change_and_says_why(mixed: list[Record], tmp_path: Path) -> None:
    counts = exported(mixed, tmp_path / "out")
    assert counts["alpaca"].rows == 3
    assert counts["alpaca"].left_out == {
        "an assistant's turn is not trained": 1,
        "a turn has a weight other than 0 and 1": 1,
        "its reasoning stands apart": 1,
        "it has tools": 2,
    }
    assert counts["sharegpt"].rows == 5
    assert counts["prompt_completion"].left_out == {
        "several turns are trained": 3,
        "a turn has a weight other than 0 and 1": 1,
    }
    page = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "| `alpaca/` | 2 | it has tools |" in page
    assert "| `prompt_completion/` | 3 | several turns are trained |" in page


def test_rows_whose_last_answer_alone_is_trained_fit_where_trainers_are_told_so(tmp_path: Path) -> None:
    records = [conversation(0, 1), conversation(1), conversation(1, 1)]
    counts = exported(records, tmp_path / "out", train_on="last")
    assert counts["sharegpt"] == FormCounts(2, counts["sharegpt"].left_out)
    assert counts["sharegpt"].left_out == {"an earlier turn is trained, too": 1}
    assert yaml.safe_load((tmp_path / "out/configs/llamafactory.yaml").read_text())["mask_history"] is True


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (["assistant", "user", "assistant"], "the assistant speaks first"),
        (["user", "user", "assistant"], "the assistant and others do not take turns"),
        (["user", "system", "assistant"], "a system turn is not the first"),
        (["user", "calls", "tool", "tool", "assistant"], "several tool results stand in a row"),
        (["user", "says and calls", "tool", "assistant"], "text stands beside a tool call"),
        (["user", "calls", "tool of another", "assistant"], "a tool result does not belong to the call before it"),
        (["user", "calls", "user", "assistant"], "no result follows a tool call"),
        (["user", "assistant", "tool", "assistant"], "a tool result does not follow one call of its own"),
        (["user", "calls badly", "tool", "assistant"], "a tool call is not one of a function with arguments"),
    ],
)
def test_sharegpt_has_turns_one_after_the_other(turns: list[str], reason: str, tmp_path: Path) -> None:
    kinds = {
        "calls": Message("assistant", "", tool_calls=call("f", {"a": 1})),
        "says and calls": Message("assistant", "Let me see.", tool_calls=call("f", {})),
        "calls badly": Message("assistant", "", tool_calls=call("f", "not JSON")),
        "tool": Message("tool", "20"),
        "tool of another": Message("tool", "20", name="g"),
    }
    messages = tuple(kinds.get(turn) or Message(turn, f"text {n}") for n, turn in enumerate(turns))  # type: ignore[arg-type]
    counts = exported([Record(messages, "chat", "x")], tmp_path / "out", ("messages", "sharegpt"))
    assert counts["sharegpt"] == FormCounts(0, counts["sharegpt"].left_out)
    assert counts["sharegpt"].left_out == {reason: 1}
    assert not (tmp_path / "out/sharegpt").exists()
    assert "sharegpt" not in yaml.safe_load((tmp_path / "out/README.md").read_text().split("---")[1])["configs"]


def test_the_given_rows_are_as_they_were_and_our_columns_make_way(mixed: list[Record], tmp_path: Path) -> None:
    exported(mixed, tmp_path / "out")
    (row,) = written(tmp_path / "out", "given")
    assert {key: row[key] for key in ("instruction", "input", "output", "id", "score")} == json.loads(mixed[0].given)
    assert row["shed_id"] == mixed[0].id
    assert row["shed_score"] == 0
    assert row["rating"] == 0


def test_json_lines_load_though_tools_come_after_ten_megabytes_of_plain_rows(tmp_path: Path) -> None:
    plain = [single_turn(f"question {n} " + "y" * 100_000, "reply", "chat", "x") for n in range(220)]
    tools = [tool_record("Oslo?", "weather", {"city": "Oslo"}, CITY), tool_record("1+2?", "sum", {"numbers": [1]}, SUM)]
    exported([*plain, *tools], tmp_path / "out", ("messages",))
    rows = loaded(tmp_path / "out", "messages", "jsonl")
    assert len(rows) == 222
    (row,) = [row for row in rows if row["messages"][0]["content"] == "1+2?"]
    assert row["messages"] == [turn.to_row() for turn in tools[1].messages]


def test_the_card_is_the_hubs_and_texts_from_data_are_no_markup(mixed: list[Record], tmp_path: Path) -> None:
    evil = dataclasses.replace(mixed[0], source="a | b <script>\n# [x](http://y) `--- ")
    about = "# <img src=x>\n| --- |\n---\nlicense: evil"
    facts = CardFacts("Rows: {a: *b}\n---", about, 5000, {"chat": "CC-BY-4.0", "tools": "CC-BY-4.0"})
    exported([evil, *mixed], tmp_path / "out", facts=facts)
    page = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    _, header, text = page.split("---\n", 2)
    known = yaml.safe_load(header)
    assert known["tags"] == ["shed", "data-selection"]
    assert "license" not in known  # one source's is not known
    assert known["pretty_name"] == "Rows: {a: *b} ---"
    assert [config["config_name"] for config in known["configs"]] == list(FORMS)
    assert all((tmp_path / "out" / config["data_files"][0]["path"]).is_file() for config in known["configs"])
    assert not re.search(r"(?<!\\)[<\[]", text)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        r"# Rows\: \{a\: \*b\} \-\-\-",
        "## Forms",
        "## Left out",
        "## Sources",
        "## Tune on it",
    ]
    assert "9 instruction examples, selected by `shed` from 5,000" in text
    assert "| tools | 2 | CC\\-BY\\-4\\.0 |" in text
    assert "| 1 | not known |" in text


def test_one_licence_of_all_sources_is_the_cards(mixed: list[Record], tmp_path: Path) -> None:
    exported(mixed, tmp_path / "out", ("messages",))
    header = yaml.safe_load((tmp_path / "out/README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert header["license"] == "apache-2.0"


def test_the_hub_layout_is_read_by_its_card(mixed: list[Record], tmp_path: Path) -> None:
    exported(mixed, tmp_path / "out")
    for form, rows in (("messages", 8), ("sharegpt", 5)):
        found = datasets.load_dataset(str(tmp_path / "out"), form, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(found) == rows


def test_the_table_of_the_selection_gives_order_and_columns(mixed: list[Record]) -> None:
    table = pd.DataFrame(
        {"id": [mixed[2].id, mixed[0].id], "cluster": [4, 1], "score": [0.5, float("nan")], "reason": ["top", None]}
    )
    assert export_rows(mixed, table) == [ExportRow(mixed[2], 4, 0.5, None, "top"), ExportRow(mixed[0], 1)]


def test_what_was_not_measured_has_no_column(mixed: list[Record], tmp_path: Path) -> None:
    export([ExportRow(record, cluster=1) for record in mixed], tmp_path / "out", ["messages"], FACTS, SETTINGS)
    row = loaded(tmp_path / "out", "messages", "parquet")[0]
    assert row["cluster"] == 1
    assert not {"score", "rating", "reason"} & row.keys()


def test_an_unknown_form_and_an_empty_selection_are_refused(mixed: list[Record], tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="no form is called 'csv'; there are messages, prompt_completion"):
        exported(mixed, tmp_path / "out", ("csv",))  # type: ignore[arg-type]
    with pytest.raises(ShedError, match="there is no row to export"):
        exported([], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_two_exports_write_the_same_bytes(mixed: list[Record], tmp_path: Path) -> None:
    for name in ("one", "two"):
        exported(mixed, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 17
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
