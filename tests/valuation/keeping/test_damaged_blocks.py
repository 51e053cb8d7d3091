"""What is rated is taken from its blocks as it was kept, or rated again."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from soaking import times

from shed.data.records import Record
from shed.valuation.rated_blocks import RatedBlocks


def flipped(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    at = draw.randrange(8 * len(content))
    content[at // 8] ^= 1 << at % 8
    path.write_bytes(content)


def test_no_bit_that_flips_in_a_block_or_an_array_gives_another_number(
    records: list[Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, pool = random.Random(3), records[:4]
    table = pd.DataFrame({"id": [one.id for one in pool], "rating": [0.1, -0.2, 0.3, 1e-9], "tokens": [3, 4, 5, 6]})
    for n in range(times(40, "blocks of ratings and arrays of which one bit was flipped")):
        kept = RatedBlocks(tmp_path / str(n), {"model": "a"})
        kept.keep_block(pool, table)
        kept.keep_array("ends", np.arange(6.0))
        found, array = kept.block(pool), kept.array("ends")
        assert found is not None
        assert array is not None
        pd.testing.assert_frame_equal(found, table)
        np.testing.assert_array_equal(array, np.arange(6.0))
        for path in (tmp_path / str(n)).rglob("*.*"):
            flipped(path, draw)
        assert kept.block(pool) is None
        assert kept.array("ends") is None
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 2
        assert all("is damaged: it is not as it was kept; moved to" in line for line in said)
        kept.keep_block(pool, table)
        again = kept.block(pool)
        assert again is not None
        assert len(list((tmp_path / str(n)).rglob("*.damaged-*"))) == 2  # what is damaged is kept, too


def test_a_block_without_a_digest_is_rated_again(records: list[Record], tmp_path: Path) -> None:
    kept = RatedBlocks(tmp_path, {"model": "a"})
    table = pd.DataFrame({"id": ["a"], "rating": [0.5]})
    kept.keep_block(records[:1], table)
    (path,) = tmp_path.rglob("*.parquet")
    path.rename(path.with_name(path.name.rsplit("-", 1)[0] + ".parquet"))  # as an older shed kept it
    assert kept.block(records[:1]) is None


def test_a_block_under_the_name_of_another_is_not_taken(records: list[Record], tmp_path: Path) -> None:
    kept = RatedBlocks(tmp_path, {"model": "a"})
    for name, value in (("one", 1.0), ("two", 2.0)):
        kept.keep_array(name, np.array([value]))
    (one,), (two,) = tmp_path.rglob("one-*"), tmp_path.rglob("two-*")
    one.replace(two.with_name(one.name.replace("one", "two")))
    two.unlink()
    assert kept.array("two") is None
