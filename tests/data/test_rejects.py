"""What is said where too many rows of a split are set aside: of a whole file it is another thing than of single rows."""

import pytest

from shed.common.errors import ShedError
from shed.data.preparation import PreparedData, prepare
from shed.data.readers import BadRecord
from shed.data.records import Record, single_turn
from shed.data.rejects import counts_told
from shed.models.rendering import REWRITTEN


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


@pytest.mark.parametrize(
    ("why", "todo", "setting"),
    [
        (
            "nothing of its response fits into 512 tokens",
            "raise the context length, or shorten what must stay",
            "context length",
        ),
        ("the chat template leaves out the tools", "the plain prompt form can hold them", "prompt form"),
        (REWRITTEN, "train on the last turn alone", "turns to train on"),
    ],
)
@pytest.mark.parametrize("sound", [0, 4])
def test_where_the_model_cannot_take_the_rows_its_setting_is_named(why: str, todo: str, setting: str, sound: int) -> None:
    """Neither the rows are to be mended then, nor more of them allowed."""
    records = [single_turn(str(n), "yes", "a", f"a.jsonl, line {n}") for n in range(4 + sound)]
    refused = {one.id for one in records[sound:]}
    found = prepare(
        records,
        [record("dev")],
        [record("test")],
        pool_rows=None,
        dev_rows=None,
        test_rows=None,
        near=None,
        seed=1,
        unfit=lambda one: why if one.id in refused else None,
    )
    with pytest.raises(ShedError) as error:
        found.check(0.05)
    assert ("in a.jsonl none can be used" in str(error.value)) == (not sound)
    assert f"rejects.jsonl; {todo}" in str(error.value)
    assert "mend" not in str(error.value)
    assert error.value.setting == setting


def test_what_was_read_kept_and_set_aside_is_told_by_reason() -> None:
    bad = BadRecord("b, line 1", "b", "not valid JSON", "")
    found = prepared([record("1"), record("1"), record("1"), record("2"), record("dev"), bad])
    assert counts_told("pool", len(found.pool), found.rejects.reasons("pool")) == (
        "pool: 6 rows read, 2 kept; set aside: 2 exact_duplicate, 1 in_dev, 1 not valid JSON"
    )
    assert counts_told("dev", 1, found.rejects.reasons("dev")) == "dev: 1 row read, 1 kept"
