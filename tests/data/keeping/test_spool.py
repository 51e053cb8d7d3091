"""A pool in temporary files is the pool in memory, and takes little of it."""

import dataclasses
import errno
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shed.common.errors import ShedError
from shed.data.faults import damage
from shed.data.keeping.spool import Spool, pick, write_items
from shed.data.preparation import PreparedData, prepare
from shed.data.readers import BadRecord
from shed.data.records import Message, Record, from_row, read_records, single_turn

SPLITS = ("pool", "dev", "test")
LICENCES: dict[str, dict[str, str]] = {split: {} for split in SPLITS}
TOOLS = '[{"name": "weather"}]'
CALL = '[{"type": "function", "function": {"name": "weather", "arguments": {"town": "Oslo"}}}]'
SAID = "the old boat lay on the sand all winter and nobody came to mend it before the ice was gone"


def rows(count: int) -> Iterator[Record | BadRecord]:
    """Records of two sources with copies, near-copies, empty responses, conversations with tools, and rows that are none."""
    for n in range(count):
        prompt, source, origin = f"{n // 3} {SAID} {n % 3} q{n // 3} r{n // 3} s{n // 3}", f"s{n % 7 // 5}", f"p, line {n}"
        if n % 10 == 4:
            yield BadRecord(origin, source, "not valid JSON", "{", "ignored keys")
        elif n % 10 == 5:
            yield Record(
                (
                    Message("user", f"Weather {n}?\u2028é"),
                    Message("assistant", "", 0.5, "hm", CALL),
                    Message("tool", "4°", name="weather", tool_call_id="1"),
                    Message("assistant", f"It is {n}°."),
                ),
                source,
                origin,
                tools=TOOLS,
                given='{"a": 1}',
            )
        elif n % 10 == 6:
            yield single_turn(f"Which of {n}?", f"a{n}", source, origin, [f"a{n}", "b"], 0)
        else:
            yield single_turn(prompt, " " if n % 20 == 7 else f"so {n // 2}", source, origin)


def prepared(folder: Path | None, **settings: Any) -> PreparedData:
    given = {"dev": None, "test": None, "pool_rows": None, "dev_rows": None, "test_rows": None, "near": None, "seed": 1}
    return prepare(rows(400), **{**given, **settings}, folder=folder)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"near": 0.7},
        {"pool_rows": 50, "dev_rows": 20},
        {"dev": list(rows(30)), "test": list(rows(45)), "near": 0.7, "pool_rows": 40, "test_rows": 10},
    ],
)
def test_what_is_prepared_on_disk_is_what_is_prepared_in_memory(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Records, their order, what is set aside and why, the card and what is told; and so are the files."""
    one, other = prepared(tmp_path / "spool", **settings), prepared(None, **settings)
    assert isinstance(other.pool, list)
    for split in SPLITS:
        assert list(getattr(one, split)) == list(getattr(other, split))
        assert one.counts_told(split) == other.counts_told(split)
    as_read = [dataclasses.replace(reject, record=_without_setting(reject.record)) for reject in other.rejects]
    assert list(one.rejects) == as_read
    assert one.card(LICENCES) == other.card(LICENCES)
    assert {reject.reason for reject in as_read} >= {"not valid JSON", "empty_response"}
    write_items(tmp_path / "a.jsonl", one.pool)
    write_items(tmp_path / "b.jsonl", other.pool)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert read_records(tmp_path / "a.jsonl") == other.pool
    write_items(tmp_path / "rejects.jsonl", one.rejects.kept)
    lines = (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == [reject.to_row() for reject in other.rejects]
    for largest in (0.0, 0.05):
        assert _refusal(one, largest) == _refusal(other, largest) != ""
    assert list((tmp_path / "spool").iterdir()) == []


def test_records_on_disk_are_damaged_as_those_in_memory(tmp_path: Path) -> None:
    one, other = prepared(tmp_path), prepared(None)
    kinds: Any = ["swapped", "wrong_option", "truncated", "duplicate"]
    for share in (0.0, 0.3):
        (on_disk, faults), (in_memory, same) = (damage(each.pool, share, kinds, None, 1) for each in (one, other))
        assert list(on_disk) == in_memory
        assert faults == same
        assert (list(on_disk) != list(one.pool)) == (share > 0)


def test_memory_hardly_grows_with_the_rows(tmp_path: Path) -> None:
    """Each of 4,000 more rows of 5 KB takes less than 600 bytes, its share of what grows by doubling included."""

    def long_rows(count: int) -> Iterator[Record]:
        for n in range(count):
            yield single_turn(f"Spell {n}", f"{n}" + "x" * 5_000, "s", f"p, line {n}")

    peaks = []
    for count in (2_000, 6_000):
        tracemalloc.start()
        found = prepare(
            long_rows(count), [], [], pool_rows=None, dev_rows=None, test_rows=None, near=None, seed=1, folder=tmp_path
        )
        card = found.card(LICENCES)
        write_items(tmp_path / "pool.jsonl", found.pool)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert card["pool"]["kept"] == count
    assert peaks[1] - peaks[0] < 600 * 4_000
    assert (tmp_path / "pool.jsonl").stat().st_size > 5_000 * 6_000


def test_places_are_counted_as_in_a_list_and_what_was_added_last_is_there(tmp_path: Path) -> None:
    records = [single_turn(f"question {n}", "yes", "s", "o") for n in range(9)]
    spool = Spool(tmp_path, from_row)
    for n, record in enumerate(records):
        spool.append(record)
        assert spool[n] == spool[-1] == record
    picked = pick(spool, [3, 1, 8])
    assert (spool[2:5], list(spool), len(spool)) == (records[2:5], records, 9)
    assert (picked[:2], picked[-1], len(picked)) == ([records[3], records[1]], records[8], 3)
    with pytest.raises(IndexError):
        spool[9]


def test_a_full_disk_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, from_row)

    class Full:
        def write(self, line: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "_file", Full())
    with pytest.raises(ShedError, match=r"^cannot write to .*: No space left on device; make room there"):
        spool.append(single_turn("a", "b", "s", "o"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ShedError, match=r"^cannot write to .*file"):
        Spool(tmp_path / "file", from_row)


def _without_setting(one: Record | BadRecord) -> Record | BadRecord:
    return dataclasses.replace(one, setting=None) if isinstance(one, BadRecord) else one


def _refusal(found: PreparedData, largest: float) -> str:
    with pytest.raises(ShedError) as error:
        found.check(largest)
    return str(error.value)
