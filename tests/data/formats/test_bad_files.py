"""What cannot be read is a bad row or one line, never a traceback, and spoils no other row."""

import gzip
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from file_writers import LIMIT, ROWS, WRITERS, outcome, packed, read, shown
from hypothesis import given, settings
from hypothesis import strategies as st
from soaking import times

from shed.common.errors import ShedError
from shed.data.files import BadRow, Row, data_files, rows


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": "\\ud800"}', "unpaired surrogate"),
        (b'{"\\udfff": 1}', "unpaired surrogate"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of more than 4,300 digits"),
        (b'{"a": 1e999}', "a number that is too large"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": [-Infinity]}', "Infinity"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", "nested too deeply"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "repeats the key 'c'"),
        (b'{"a": "\x00"}', "holds NUL bytes"),
        (b'{"a": "caf\xe9"}', "not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a": "tab\there"}', "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_bad_row_spoils_no_other(tmp_path: Path, line: bytes, reason: str) -> None:
    """The same in lines, in a list and in a keyed list: the rows beside it are read."""
    first, last = b'{"first": 1}', b'{"last": "\\ud83d\\ude00"}'
    good = [{"first": 1}, {"last": "😀"}]
    found = read(tmp_path / "a.jsonl", first + b"\n" + line + b"\n" + last)
    assert shown(found) == [good[0], ("line 2", reason), good[1]]
    assert isinstance(found[1], BadRow)
    assert found[1].text[:4] == line.decode("utf-8", "replace")[:4]
    assert len(found[1].text) <= 1000
    assert found[1].text.replace("\n", "").replace("\t", "").isprintable()
    found = read(tmp_path / "a.json", b"[" + first + b",\n" + line + b" , " + last + b"]")
    assert shown(found) == [good[0], ("entry 2", reason), good[1]]
    found = read(tmp_path / "k.json", b'{"data": [' + first + b",\n" + line + b" , " + last + b"]}")
    assert shown(found) == [good[0], ("entry 2", reason), good[1]]


def test_a_row_at_the_limit_is_read_and_one_above_is_passed_over(tmp_path: Path) -> None:
    def line(size: int, letter: str = "x") -> str:
        return '{"a": "' + letter * ((size - 9) // len(letter.encode())) + '"}'

    for letter in "x", "é":
        values = [line(99, letter), line(103, letter), line(5000, letter), line(9)]
        for name, text in {"a.jsonl": "\n".join(values), "a.json": "[" + ",".join(values) + "]"}.items():
            found = read(tmp_path / name, text, limit=100)
            assert [type(row) for row in found] == [Row, BadRow, BadRow, Row]
            assert shown(found)[2][1] == "longer than 0.0001 MB"
    table = pa.table({"a": ["x" * 10, "x" * 5000, "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert shown(list(rows(tmp_path / "a.parquet", None, 1000))) == [
        {"a": "x" * 10},
        ("row 2", "longer than 0.001 MB"),
        {"a": "y"},
    ]
    text = 'a,b\n1,2\n"' + "x\n" * 300 + '",4\n' + "y" * 500 + ",5\n6,7\n" + '"' + "z" * 400 + '\n8,9\n",1\n10,11\n'
    found = read(tmp_path / "a.csv", text, limit=100)
    assert [row.values["a"] if isinstance(row, Row) else row.reason[:6] for row in found] == [
        "1", "longer", "longer", "6", "longer", "10"
    ]  # fmt: skip
    assert found[3].origin.endswith("line 305")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "k.json", "a.csv"])
def test_a_row_of_50_mb_is_not_held(tmp_path: Path, name: str) -> None:
    huge = '{"a": "' + "x" * 50_000_000 + '"}'
    texts = {
        "a.jsonl": f'{{"a": "1"}}\n{huge}\n{{"a": "2"}}',
        "a.json": f'[{{"a": "1"}},{huge},{{"a": "2"}}]',
        "k.json": f'{{"data": [{{"a": "1"}},{huge},{{"a": "2"}}]}}',
        "a.csv": f"a\n1\n{huge[6:-1]}\n2\n",
    }
    (tmp_path / name).write_text(texts[name])
    del texts, huge
    tracemalloc.start()
    found = list(rows(tmp_path / name, None, 1_000_000))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(row) for row in found] == [Row, BadRow, Row]
    assert most < 10_000_000


def test_a_file_that_ends_in_the_middle(tmp_path: Path) -> None:
    lines = b'{"a": 1}\n{"a": 2}\n{"a": '
    assert shown(read(tmp_path / "a.jsonl", lines)) == [{"a": 1}, {"a": 2}, ("line 3", "not valid JSON")]
    cut = "the list ends in the middle"
    assert shown(read(tmp_path / "a.json", b'[{"a": 1}, {"a": 2}, {"a": ')) == [{"a": 1}, {"a": 2}, ("entry 3", cut)]
    assert shown(read(tmp_path / "b.json", b'[{"a": 1}, {"a": 2}')) == [{"a": 1}, {"a": 2}, ("entry 2", cut)]
    assert shown(read(tmp_path / "c.json", b'{"data": [\n{"a": 1},\n{"a": "2')) == [{"a": 1}, ("entry 2", cut)]
    assert shown(read(tmp_path / "a.csv", b'a,b\n1,2\n3,"4')) == [{"a": "1", "b": "2"}, ("line 3", "not valid CSV")]
    assert shown(read(tmp_path / "b.csv", b"a,b\n1,2\n3")) == [
        {"a": "1", "b": "2"},
        ("line 3", "has fewer fields than the header"),
    ]
    assert shown(read(tmp_path / "d.json", b'[{"a": 1},, {"a": 2}] x')) == [
        {"a": 1},
        ("entry 2", "an empty entry"),
        {"a": 2},
        ("end", "text after the end of the list"),
    ]
    assert read(tmp_path / "e.json", b" [ ]\n") == read(tmp_path / "e.jsonl", b"") == read(tmp_path / "e.csv", b"a,b\n") == []


@pytest.mark.parametrize("name", [*WRITERS, *(f"{name}{suffix}" for name in WRITERS for suffix in (".gz", ".zst"))])
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str) -> None:
    """Cut off at any place, or with a byte changed: rows, bad rows or a ShedError, and nothing else."""
    suffix = Path(name).suffix if name.endswith((".gz", ".zst")) else ""
    data = packed(WRITERS[name.removesuffix(suffix)](ROWS), suffix)
    step = max(1, len(data) // 60)
    for at in range(0, len(data), step):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
            found = outcome(tmp_path / name, damaged)
            assert not isinstance(found, str) or (str(tmp_path / name) in found and "\n" not in found)
    if suffix:
        with pytest.raises(ShedError, match=r"cannot be read \(.*\); it is damaged or not what its name says"):
            read(tmp_path / name, data[:-1])


def repeated(tmp_path: Path, kind: str) -> Path:
    """A small file that holds something very often."""
    if kind == "gzip":
        path = tmp_path / "bomb.jsonl.gz"
        with gzip.open(path, "wb") as file:
            for _ in range(110):
                file.write(b"\n" * 1_000_000)
        return path
    path = tmp_path / "bomb.parquet"
    tables = {
        "one long text": lambda: {"a": ["\0" * 120_000_000]},
        "one long list": lambda: {"a": pa.ListArray.from_arrays(pa.array([0, 20_000_000]), pa.repeat(1, 20_000_000))},
        "one text in all rows": lambda: {"a": pa.DictionaryArray.from_arrays(pa.repeat(0, 100), pa.array(["y" * 12_000_000]))},
    }
    pq.write_table(pa.table(tables[kind]()), path, compression="zstd")
    return path


@pytest.mark.parametrize("kind", ["gzip", "one long text", "one long list", "one text in all rows"])
def test_a_small_file_that_unpacks_to_a_large_one_is_one_line(tmp_path: Path, kind: str) -> None:
    path = repeated(tmp_path, kind)
    with pytest.raises(
        ShedError, match=r"bytes unpack to more than 200 times as many and 100 MB, which no records do; look at"
    ):
        list(rows(path, None))
    assert path.stat().st_size < 500_000


def test_any_bytes_give_rows_or_one_line(tmp_path: Path) -> None:
    pieces = [
        b'{"a": ',
        b"[",
        b"]",
        b"}",
        b",",
        b'"',
        b"\\",
        b"\n",
        b"\r",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"1",
        b'{"a": 1}',
    ]
    pieces += [b"ARROW1\0\0", b"PAR1", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\\ud800", b"NaN", b";", b"a,b\n", b'{"data": [']
    names = [*WRITERS, "x.json.gz", "x.json.zst", "x.parquet.gz", "x.arrow.zst", "x.csv.gz"]

    @settings(max_examples=times(300, "files of rows made of pieces of their formats"))
    @given(st.data())
    def rows_or_one_line(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(names))
        content = b"".join(data.draw(st.lists(st.one_of(st.sampled_from(pieces), st.binary(max_size=8)), max_size=30)))
        key = data.draw(st.sampled_from([None, "a", "data"]))
        found = outcome(tmp_path / name, content, key, data.draw(st.sampled_from([5, 20, LIMIT])))
        if isinstance(found, str):
            assert "\n" not in found
        else:
            json.dumps([vars(row) for row in found], ensure_ascii=False, allow_nan=False).encode()

    rows_or_one_line()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("none.json", "none.json: no such file or folder"),
        ("*.parquet", r"\*.parquet: holds no data file; they are called .json"),
        ("empty", "empty: holds no data file"),
        ("nul\0", "not a path that can be read"),
        ("x" * 5000, "not a path that can be read"),
        ("~nobody_of_this_name/x", "not a path that can be read"),
        ("pipe.json", "pipe.json: neither a file nor a folder"),
        ("hf://datasets/a/b", "a dataset, not files"),
    ],
)
def test_a_path_without_data_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ShedError, match=message) as error:
        data_files(where)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_opened_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "closed.jsonl").write_text("{}")
    for name, message in [
        ("folder.json", "folder.json: this is a folder"),
        ("none.jsonl", "none.jsonl: no such file"),
        ("notes.txt", r"notes.txt: a data file must be one of .json, .*; or give a recipe \(.yaml\)"),
    ]:
        with pytest.raises(ShedError, match=message):
            list(rows(tmp_path / name, None))

    def denied(*_: object, **__: object) -> Iterator[None]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # a test may run as root, who may read everything
    with pytest.raises(ShedError, match=r"closed\.jsonl: permission denied"):
        list(rows(tmp_path / "closed.jsonl", None))
