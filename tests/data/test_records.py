"""Records: what makes two of them the same, and the rows that they are kept in."""

import json
from pathlib import Path

from shed.data.records import Message, Record, from_row, iterate_records, single_turn

CALL = '[{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}]'


def test_the_id_is_the_content_and_a_row_survives_the_round_trip() -> None:
    record = single_turn("q", "a", "one", "here", ["a", "b"], 0)
    assert record.id == single_turn("q", "a", "another", "there").id
    assert record.id != single_turn("q", "b", "one", "here").id
    assert from_row(json.loads(json.dumps(record.to_row()))) == record


def test_a_record_with_everything_survives_a_file(tmp_path: Path) -> None:
    turns = (
        Message("system", ""),
        Message("user", "Oslo?"),
        Message("assistant", "", 0.5, "I must ask.", CALL),
        Message("tool", "20", name="weather", tool_call_id="c1"),
        Message("assistant", "20 degrees"),
    )
    tools = '[{"type": "function", "function": {"name": "weather"}}]'
    record = Record(turns, "s", "here", tools=tools, given='{"a": 1}')
    (tmp_path / "records.jsonl").write_text(json.dumps(record.to_row()) + "\n", encoding="utf-8")
    assert list(iterate_records(tmp_path / "records.jsonl")) == [record]


def test_the_id_tells_weights_tools_and_reasoning_apart() -> None:
    plain = single_turn("q", "a", "s", "x")
    user, reply = plain.messages
    others = [
        Record((user, Message("assistant", "a", 0.5)), "s", "x"),
        Record((user, Message("assistant", "a", reasoning="r")), "s", "x"),
        Record((user, reply), "s", "x", tools='[{"type": "function", "function": {"name": "f"}}]'),
    ]
    assert len({plain.id, *(other.id for other in others)}) == 4
