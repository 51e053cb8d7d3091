"""Files of exported rows: rows of any keys and types come back from `datasets` as they are."""

from pathlib import Path
from typing import Any

import datasets

from shed.data.exports.files import showing_types_first, write_rows


def test_given_rows_of_several_forms_load_from_parquet(tmp_path: Path) -> None:
    given = [
        {"n": 1, "x": "text", "big": 10**30, "l": [["a", "b"]], "f": 1},
        {"n": "one", "x": "more", "big": 1, "m": [{"a": 1}, {"b": None}], "f": 0.5},
        {"n": None, "x": None, "l": [], "m": [], "t": True},
    ]
    write_rows(tmp_path / "out/given", given)
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out/given/train.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows["n"][:] == [1, "one", None]
    assert rows["big"][:] == [str(10**30), "1", None]  # an integer that `datasets` cannot decode: JSON text
    assert rows["l"][:] == [[["a", "b"]], None, []]
    assert rows["m"][:] == [None, [{"a": 1}, {"b": None}], []]
    assert rows["f"][:] == [1.0, 0.5, None]


def test_rows_that_show_nothing_new_keep_their_order() -> None:
    rows: list[dict[str, Any]] = [{"a": n} for n in range(4)] + [{"a": None, "b": [{"c": 1}]}, {"a": 9}]
    assert showing_types_first(rows) == [{"a": 0}, rows[4], {"a": 1}, {"a": 2}, {"a": 3}, {"a": 9}]
