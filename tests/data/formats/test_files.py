"""Files of every kind become the same rows, one at a time."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from file_writers import LIMIT, ROWS, WRITERS, packed, read, shown
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shed.common.errors import ShedError
from shed.data.files import Row, data_files, file_name, rows, side_keys


@pytest.mark.parametrize("suffix", ["", ".gz", ".ZST"])
@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / (name + suffix)
    found = read(path, packed(WRITERS[name](ROWS), suffix))
    assert shown(found) == ROWS
    assert {row.file for row in found if isinstance(row, Row)} == {name.split(".")[0]}
    assert found[0].origin.startswith(f"{path}, ")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.json", "lines.json", "c.JSONL", "keyed.json", "e.csv"])
def test_byte_order_marks_are_understood(tmp_path: Path, name: str, encoding: str) -> None:
    assert shown(read(tmp_path / name, WRITERS[name](ROWS).decode().encode(encoding))) == ROWS


def test_places_are_lines_entries_and_rows(tmp_path: Path) -> None:
    places = {name: read(tmp_path / name, WRITERS[name](ROWS))[2].origin.rsplit(", ", 1)[1] for name in WRITERS}
    assert (places["c.JSONL"], places["a.json"], places["h.parquet"]) == ("line 3", "entry 3", "row 3")
    assert places["e.csv"] == "line 5"  # a field of the first row has a line break


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Python's own memory: a file of 4 MB in each form takes less than 2.5 MB."""
    many = [{"instruction": f"{i} " + "word " * 100, "output": "text " * 100} for i in range(4_000)]
    for name, write in WRITERS.items():
        (tmp_path / name).write_bytes(write(many))
    del many
    for name in WRITERS:
        next(rows(tmp_path / name, None, LIMIT))  # imports
        tracemalloc.start()
        assert sum(isinstance(row, Row) for row in rows(tmp_path / name, None, LIMIT)) == 4_000
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 2_500_000, name


def test_what_decides_between_lines_and_one_object(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}]}
    assert shown(read(tmp_path / "one.jsonl", json.dumps(row))) == [row]
    assert shown(read(tmp_path / "broken_first.jsonl", '{"a": "x\n{"a": 2}\n{"a": 3}\n'))[1:] == [{"a": 2}, {"a": 3}]
    assert shown(read(tmp_path / "broken_first.json", '{"a": 1\n{"a": 2}\n')) == [("line 1", "not valid JSON"), {"a": 2}]
    assert shown(read(tmp_path / "words.json", 'hello\n{"a": 2}\n')) == [("line 1", "not valid JSON"), {"a": 2}]
    keyed = {"train": [{"a": 1}], "test": [{"a": 2}], "empty": [], "n": 3}
    assert shown(read(tmp_path / "two.json", json.dumps(keyed), "test")) == [{"a": 2}]
    assert shown(read(tmp_path / "two.jsonl", json.dumps(keyed), "train")) == [{"a": 1}]
    assert read(tmp_path / "two.json", json.dumps(keyed), "empty") == []
    assert shown(read(tmp_path / "lines.jsonl", '{"a": 1}\n{"a": 2}', "data")) == [{"a": 1}, {"a": 2}]
    for key, message in [
        (None, r"two\.json: one JSON object with 'train', 'test', 'empty', 'n', of which 3 hold a list of records; name"),
        ("dev", r"two\.json: one JSON object without the key 'dev'; it has 'train', 'test', 'empty', 'n'"),
        ("n", r"two\.json: what stands under 'n' is not a list"),
    ]:
        with pytest.raises(ShedError, match=message) as error:
            read(tmp_path / "two.json", json.dumps(keyed), key)
        assert error.value.setting == "list key"
    with pytest.raises(ShedError, match=r"record\.json: one JSON object with 'messages', of which none hold"):
        read(tmp_path / "record.json", json.dumps(row))
    table = {"a": {"0": 1, "1": 2}, "b": {"0": 3, "1": 4}}  # what `to_json` of pandas writes, if it is not told otherwise
    for name, value in [("p.json", table), ("p.jsonl", table), ("p.json", {"columns": ["a"], "index": [0], "data": [[1]]})]:
        with pytest.raises(ShedError, match=r'which are columns as pandas writes them; write it with orient="records"$'):
            read(tmp_path / name, json.dumps(value))
    read(tmp_path / "q.jsonl", json.dumps({"question": {"text": "q"}, "answer": "a"}))  # a row of objects is none
    (tmp_path / "p.json").write_text(json.dumps(table))
    assert side_keys(tmp_path / "p.json") is None  # so it is told of in a folder, too
    with pytest.raises(ShedError, match="repeats the key 'data'"):
        read(tmp_path / "twice.json", '{"data": [{"a": 1}], "data": [{"a": 2}]}')


def test_csv_that_is_not_plain(tmp_path: Path) -> None:
    fewer, more = "has fewer fields than the header", "has more fields than the header"
    assert shown(read(tmp_path / "a.csv", 'a,b\n1\n1,2,3\n\n"x"y,2\nsay "hi",ok\n')) == [
        ("line 2", fewer),
        ("line 3", more),
        ("line 5", "not valid CSV"),
        {"a": 'say "hi"', "b": "ok"},
    ]
    assert shown(read(tmp_path / "old_mac.csv", "a,b\r1,2\r3,4\r")) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert shown(read(tmp_path / "pandas.csv", ",a\n0,x\n")) == [{"index": "0", "a": "x"}]
    assert shown(read(tmp_path / "latin.csv", "a,b\nÄ,1\n2,3\n".encode("latin-1"))) == [
        ("line 2", "not UTF-8"),
        {"a": "2", "b": "3"},
    ]
    assert shown(read(tmp_path / "long.csv", "a,b\n" + "x" * 200_000 + ",1\n")) == [{"a": "x" * 200_000, "b": "1"}]
    for text, message in [
        ("a,b,a\n1,2,3\n", "two columns are called 'a'"),
        ("a,,b\n1,2,3\n", "column 2 has no name"),
        ('a,"b\n', "line 1: the header is not valid CSV"),
        ("ä,b\n1,2\n".encode("latin-1"), "line 1: the header is not UTF-8; save the file as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: the header is not UTF-8; save the file as UTF-8"),
    ]:
        with pytest.raises(ShedError, match=message):
            read(tmp_path / "bad.csv", text)


def test_values_of_tables(tmp_path: Path) -> None:
    table = pa.table(
        {
            "score": pa.array([1.5, float("nan"), float("inf")]),
            "turns": pa.array([[{"role": "user", "w": 1.0}], [], None]),
            "blob": pa.array([b"\xff", None, None]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert shown(list(rows(tmp_path / "a.parquet", None))) == [
        {"score": 1.5, "turns": [{"role": "user", "w": 1.0}], "blob": b"\xff"},
        {"score": None, "turns": [], "blob": None},
        ("row 3", "Infinity"),
    ]
    wrong = pa.Array.from_buffers(pa.string(), 2, [None, *pa.array([b"ok", b"\xff"]).buffers()[1:]])
    pq.write_table(pa.table({"a": wrong}), tmp_path / "b.parquet")
    assert shown(list(rows(tmp_path / "b.parquet", None))) == [{"a": "ok"}, ("row 2", "not UTF-8")]
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "c.parquet")
    with pytest.raises(ShedError, match="two columns are called 'a'"):
        list(rows(tmp_path / "c.parquet", None))


values = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(values, min_size=1, max_size=6), st.booleans(), st.sampled_from([None, 1]), st.integers(1, 9))
@example([{"a": '\\"'}, {"b": "\\\\"}], True, None, 1)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_json_comes_back_as_it_was(
    tmp_path: Path, many: list[dict[str, Any]], plain: bool, indent: int | None, block: int
) -> None:
    """Also where a block of the stream ends inside a string, behind a backslash or between two entries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shed.data.formats.json_entries.BLOCK", block)
        text = json.dumps(many, ensure_ascii=plain, indent=indent)
        assert shown(read(tmp_path / "a.json", text)) == many
        assert shown(read(tmp_path / "k.json", json.dumps({"n": 1, "data": many}, ensure_ascii=plain), "data")) == many
        lines = "\n".join(json.dumps(row, ensure_ascii=plain) for row in many)
        assert shown(read(tmp_path / "a.jsonl", lines)) == many


def test_what_a_path_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["b.jsonl", "a.json", "sub/c.CSV.gz", "sub/README.md", ".hidden.json", ".cache/d.json", "[odd].json", "e.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")

    def names(where: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in data_files(where)]

    everything = ["[odd].json", "a.json", "b.jsonl", "sub/c.CSV.gz"]
    assert names(str(tmp_path)) == everything
    assert names(f"{tmp_path}/**/*") == everything
    assert names(f"{tmp_path}/*.json*") == everything[:3]
    assert names(f"{tmp_path}/[odd].json") == ["[odd].json"]
    assert names(f"{tmp_path}/e.txt") == ["e.txt"]  # named itself; `rows` says what is wrong with it
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names("~/sub") == ["sub/c.CSV.gz"]
    assert (file_name(Path("x/pool.v2.JSONL.gz")), file_name(Path("data"))) == ("pool.v2", "data")
