"""A file of records is a sequence that holds nothing in memory but where each begins."""

from pathlib import Path

import pytest

from shed.common.atomic_io import write_jsonl
from shed.data.records import Record, RecordFile, single_turn


def test_records_are_those_of_the_file_by_number_slice_and_in_order(tmp_path: Path) -> None:
    own = [single_turn(f"what is {n} – ü\u2028?", f"{n}\nlines", "s", f"f {n}") for n in range(7)]
    write_jsonl(tmp_path / "pool.jsonl", [record.to_row() for record in own])
    file = RecordFile(tmp_path / "pool.jsonl")
    assert len(file) == 7
    assert list(file) == own
    assert file[3] == own[3]
    assert file[-1] == own[-1]
    assert file[2:5] == own[2:5]
    assert file[5:99] == own[5:]
    with pytest.raises(IndexError):
        file[7]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").touch()
    none: list[Record] = list(RecordFile(tmp_path / "pool.jsonl"))
    assert none == []
    assert len(RecordFile(tmp_path / "pool.jsonl")) == 0
