"""Rows in memory are read as those of a file, and a row that is none is set aside with its place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from shed import Selector
from shed.common.errors import ShedError
from shed.data.readers import BadRecord, ReaderSettings, read_user
from shed.data.records import Record
from shed.library.rows import place_of, read_rows, rows_at

SETTINGS = ReaderSettings(form=None, columns=None, list_key=None, ignore=(), train_on="all", max_row_mb=0.001)


def called(**arguments: int) -> dict[str, Any]:
    """A row that ends with a call of a tool. In a table its arguments have the keys of all calls, null where a call has none."""
    call = {"type": "function", "function": {"name": "add", "arguments": arguments}}
    turns = [{"role": "user", "content": "add"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    return {"messages": turns}


TURNS = [called(a=1), called(b=2)]


def read(rows: Any) -> list[Record | BadRecord]:
    return list(read_rows(rows, "pool", SETTINGS))


def test_they_are_the_records_of_a_file_with_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, TURNS)))
    of_file = list(read_user(str(tmp_path / "pool.jsonl"), SETTINGS))
    for rows in (TURNS, tuple(TURNS), Dataset.from_list(TURNS)):
        found = read(rows)
        assert [(one.id, one.source) for one in found] == [(one.id, one.source) for one in of_file]  # type: ignore[union-attr]
        assert [place_of(one) for one in found] == [0, 1]
        assert [one.origin for one in found] == ["pool, row 1", "pool, row 2"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "a"}, "not of the form columns; it has the keys 'prompt'"),
        ({"prompt": "a", "response": "b", "hint": "c"}, "the key 'hint' is not used by the form columns"),
        ({"prompt": "a", "response": np.int64(3)}, "a value that JSON cannot hold (Object of type int64"),
        ({"prompt": "a", "response": float("nan")}, "NaN"),
        ({"prompt": "a", "response": "b" * 2000}, "longer than 0.001 MB"),
        ({"prompt": "a", "response": "\ud800"}, "not UTF-8"),
        ("prompt", "not a dictionary"),
    ],
)
def test_a_row_that_is_no_record_is_set_aside(row: Any, reason: str) -> None:
    good = [{"prompt": f"say {n}", "response": f"{n}"} for n in range(3)]
    found = read([row, *good])
    assert [isinstance(one, Record) for one in found] == [False, True, True, True]
    assert isinstance(found[0], BadRecord)
    assert found[0].reason.startswith(reason)
    assert place_of(found[0]) == 0


def test_where_no_row_can_be_read_each_is_set_aside() -> None:
    assert [type(one) for one in read([1, 2])] == [BadRecord, BadRecord]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "the pool has no rows"),
        ("pool.jsonl", r"the pool is a str; give a list of dictionaries or a datasets\.Dataset: of a file `load_dataset"),
        (iter([]), "the pool is a list_iterator; give a list"),
        (DatasetDict({"train": Dataset.from_list(TURNS)}), "the pool is a DatasetDict, a mapping; give one of its splits"),
        ([{"question": "a", "chosen": "b", "rejected": "c"}], "the pool: "),
    ],
)
def test_rows_that_cannot_be_read_at_all_are_one_line(rows: Any, said: str) -> None:
    with pytest.raises(ShedError, match=said) as error:
        read(rows)
    assert "\n" not in str(error.value)


def test_rows_come_back_by_their_places() -> None:
    dataset = Dataset.from_list(TURNS)
    assert rows_at(TURNS, [1, 0]) == [TURNS[1], TURNS[0]]
    assert list(rows_at(dataset, [1])) == [dataset[1]]


def test_what_is_set_aside_is_listed_and_too_much_of_it_is_refused(
    pool: list[dict[str, Any]], dev: list[dict[str, Any]], test: list[dict[str, Any]], small: dict[str, Any]
) -> None:
    own = Selector([*pool, pool[3], dev[0] | {"source": "sums"}], dev, test, **small)
    assert own.rejects.values.tolist() == [
        ["pool", 24, "places", "exact_duplicate"],
        ["pool", 25, "pool", "not of the form alpaca; it has the keys 'prompt', 'response', 'source'"],
    ]
    assert repr(own).splitlines()[0].endswith("; 2 rows set aside (.rejects)")
    with pytest.raises(ShedError, match=r"the pool: 9 of 33 rows cannot be read") as error:
        Selector([*pool, *[{"instruction": "", "output": f"{n}"} for n in range(9)]], dev, test, **small)
    assert "rejects.jsonl" not in str(error.value)
    assert "(first: pool, row 25)" in str(error.value)


def test_fewer_rows_than_clusters_are_refused_at_once(
    pool: list[dict[str, Any]], dev: list[dict[str, Any]], test: list[dict[str, Any]], small: dict[str, Any]
) -> None:
    with pytest.raises(ShedError, match="the pool has 24 records, and C is 25; lower C, or give more rows"):
        Selector(pool, dev, test, **{**small, "C": 25})
