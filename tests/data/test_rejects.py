"""What is said where too many rows of a split are set aside: of a whole file it is another thing than of single rows."""

import pytest

from shed.common.errors import ShedError
from shed.data.preparation import PreparedData, prepare
from shed.data.readers import BadRecord
from shed.data.records import Record, single_turn


def record(prompt: str) -> Record:
    return single_turn(prompt, "yes", "a", f"a: {prompt}")


def prepared(pool: list[Record | BadRecord]) -> PreparedData:
    return prepare(pool, [record("dev")], [record("test")], pool_rows=None, dev_rows=None, test_rows=None, near=None, seed=1)


def test_a_file_of_which_no_row_can_be_used_is_told_by_its_name_and_what_to_do() -> None:
    """Half of the pool is a file in Latin-1: not single rows are at fault, and to allow more would only lose the file."""
    sound = [record(str(n)) for n in range(4)]
    latin = [BadRecord(f"my/latin.csv, line {n}", "latin", "not UTF-8", "") for n in (2, 3, 4)]
    with pytest.raises(ShedError) as error:
        prepared([*sound, *latin]).check(0.05)
    assert str(error.value) == (
        "the pool: of 3 rows in my/latin.csv none can be used: 3 not UTF-8 (first: my/latin.csv, line 2); "
        "each is in rejects.jsonl; save the file as UTF-8"
    )
    assert error.value.setting == "records of pool"
    keys = [BadRecord(f"b.jsonl, line {n}", "b", "the key 'hint' is not used", "", "ignored keys") for n in range(3)]
    with pytest.raises(
        ShedError, match=r"of 6 rows in my/latin.csv and 1 more file none can be used: 3 not UTF-8 .*, 3 the key"
    ):
        prepared([*sound, *latin, *keys]).check(0.05)
    # one row of the file can be used, though it is an equal one: then its rows are at fault
    with pytest.raises(ShedError, match="mend the rows, or allow more"):
        prepared([*sound, *latin, single_turn("1", "yes", "latin", "my/latin.csv, line 5")]).check(0.05)
