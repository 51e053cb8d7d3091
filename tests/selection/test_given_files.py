"""A selection comes from elsewhere with one of the usual mistakes: one line says which."""

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from given_pool import DEFAULT, order, refused, write

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.selection.given.files import given_file, read_given


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [{"id": "mine-1", "score": 1.0}, {"id": "mine-2", "score": float("nan")}, {"id": "mine-3", "score": float("inf")}],
            r"2 of its 3 scores are no finite numbers; the first is ('nan'|'NaN'|missing) \((line|row|entry) [23]\); give a score to",
        ),
        ([{"id": "mine-1", "score": "high"}], r"1 of its 1 scores are no finite numbers; the first is 'high' \(\w+ [12]\)"),
        (
            [{"uid": "mine-1", "why": "x"}],
            r"has the keys 'uid', 'why'; looked for are `id`, with `score` where rows are scored, or",
        ),
        ([{"uid": "a", "score": 0.5}], r"has the keys 'score', 'uid'; looked for are `id`"),
        (
            [{"id": "mine-1", "loss": 0.5, "ppl": 7.0}],
            r"has numbers under the keys 'loss', 'ppl'; call the one that counts `score`$",
        ),
        ([{"id": None, "note": "x"}, {"id": "mine-1", "note": "y"}], r"1 of its 2 rows have no `id`; the first is \w+ [12]$"),
        (
            [{"id": "nobody"}],
            r"none of its 1 ids is in the pool; the first id of the file is 'nobody', of the pool '[0-9a-f]{16}', as",
        ),
        (
            [{"instruction": "q", "output": "a"}],
            r"none of its 1 rows is in the pool; the first id of the file is '[0-9a-f]{16}', of the pool '[0-9a-f]{16}', as you gave "
            r"it 'mine-3'; give the rows as the pool has them, or ids without texts$",
        ),
        ([], r"(holds no rows; write the selected ids or rows to it|cannot be read .*)$"),
    ],
)
@pytest.mark.parametrize("name", ["bad.csv", "bad.json", "bad.jsonl", "bad.parquet"])
def test_a_mistake_is_one_line(tmp_path: Path, pool: list[Record], name: str, rows: list[Any], said: str) -> None:
    path = tmp_path / name
    if rows or name.endswith("json"):
        write(path, rows)
    elif name.endswith("parquet"):
        pd.DataFrame({"id": []}).to_parquet(path)
    else:
        path.write_text("id\n" if name.endswith("csv") else "")
    assert re.match(said, refused(path, pool))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; write the selected ids to it, one a line"),
        (b" \n\n", "is empty"),
        (b"\x93NUMPY\x01\x00", "line 1 is no text; write an id a line, or a file called .json, .jsonl"),
        (b"mine-1\nPK\x03\x04\n", "line 2 is no text"),
        (b"nobody\nno one\n", "none of its 2 ids is in the pool; the first id of the file is 'nobody', of the pool "),
        (b"0.5\nnan\n-inf\n", "2 of its 3 scores are no finite numbers; the first is 'nan' (line 2)"),
    ],
)
def test_a_text_that_is_no_list_of_ids_is_one_line(tmp_path: Path, pool: list[Record], content: bytes, said: str) -> None:
    (tmp_path / "ids.txt").write_bytes(content)
    assert refused(tmp_path / "ids.txt", pool).startswith(said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[0.1, NaN, 0.3]", "1 of its 3 scores are no finite numbers; the first is 'nan' (entry 2)"),
        ("[0.1, null, 0.3]", "1 of its 3 scores are no finite numbers; the first is missing (entry 2)"),
        ('["mine-1", 2]', "holds texts (1) and others (1); give ids alone, or `id` and `score`"),
        ('[["mine-1", 2]]', "1 of its 1 rows cannot be read; the first is entry 1: not a JSON object"),
        ('[{"id": "mine-1"}, {"id": ', "1 of its 2 rows cannot be read; the first is entry 2: the list ends in the middle"),
        (
            '{"a": [{"id": "mine-1"}], "b": [{"id": "mine-2"}]}',
            "one JSON object with 'a', 'b', of which 2 hold a list of records",
        ),
    ],
)
def test_json_that_is_no_selection_is_one_line(tmp_path: Path, pool: list[Record], content: str, said: str) -> None:
    (tmp_path / "peer.json").write_text(content)
    assert refused(tmp_path / "peer.json", pool).startswith(said)


def test_a_selection_is_one_file_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="none.csv: no such file or folder"):
        given_file(str(tmp_path / "none.csv"))
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, [{"id": "mine-1"}])
    with pytest.raises(ShedError, match=f"^{re.escape(str(tmp_path))}: 2 files; a selection is one file$") as error:
        given_file(str(tmp_path))
    assert error.value.setting == "given selection"


def test_a_damaged_file_is_one_line(tmp_path: Path, pool: list[Record]) -> None:
    (tmp_path / "peer.parquet").write_bytes(b"PAR1 and nothing more")
    assert refused(tmp_path / "peer.parquet", pool).startswith("cannot be read (")


def test_an_id_of_two_records_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.jsonl", [{"id": 1, "prompt": f"of {name}", "response": "x"}])
    files = [read_given(tmp_path / f"{name}.jsonl", DEFAULT) for name in ("a", "b")]
    records = [entry.record for given in files for entry in given.entries if entry.record]
    path = write(tmp_path / "ids.txt", ["1"])
    assert refused(path, records) == (
        "line 1: 2 records of the pool have the id '1'; give the prepared pool's own ids: these records have "
        f"{records[0].id!r} and {records[1].id!r}"
    )
    assert list(order(write(path, [records[1].id]), records).reasons) == [records[1].id]


def test_scores_of_bergson_must_be_of_this_pool_and_the_folder_is_not_the_file(
    project_root: Path, tmp_path: Path, pool: list[Record]
) -> None:
    folder = Path(shutil.copytree(project_root / "tests/data/formats/bergson/mean", tmp_path / "scores"))
    assert refused(folder / "scores.bin", pool).startswith("10 numbers without ids, and the pool has 6 records; numbers are")
    written = (folder / "scores.bin").read_bytes()
    (folder / "scores.bin").write_bytes(written[:8] + b"\x00\x00\xc0\x7f" + written[12:])
    assert refused(folder / "scores.bin", pool) == (
        "1 of its 10 scores are no finite numbers; the first is 'nan' (row 2); give a score to each row, or leave the row out"
    )
    with pytest.raises(ShedError, match=f"^{re.escape(str(folder))}: a folder that bergson wrote; name .*/scores/scores.bin$"):
        given_file(str(folder))
