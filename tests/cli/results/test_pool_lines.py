"""Single lines of a large file are found by their places."""

import json
from pathlib import Path

import pytest

from shed.cli.results import pool_lines
from shed.cli.results.pool_lines import rows_at


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("end", ["", "\n"])
def test_rows_are_found_by_their_places(chunk: int, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_lines, "CHUNK", chunk)
    rows = [{"text": "é" * n} for n in range(9)]
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + end, encoding="utf-8")
    for places in ([], [0], [8], [3, 0], [5, 6, 5], range(9)):
        assert rows_at(path, places) == {place: rows[place] for place in places}
    assert rows_at(path, [2, 9, 40]) == {2: rows[2]}
    path.write_bytes(b"")
    assert rows_at(path, [0]) == {}
