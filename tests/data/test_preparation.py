"""Splits that share nothing, and an account of every record that was set aside."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed.common.errors import ShedError
from shed.data.preparation import PreparedData, prepare
from shed.data.records import Record, single_turn


def record(prompt: str, response: str = "yes", source: str = "a") -> Record:
    return single_turn(prompt, response, source, f"{source}: {prompt}")


def prepared(pool: list[Record], dev: list[Record], test: list[Record], pool_rows: int | None = None) -> PreparedData:
    return prepare(pool, dev, test, pool_rows=pool_rows, dev_rows=None, test_rows=None, seed=1)


def test_each_kind_of_unusable_record_is_set_aside_with_its_reason_and_origin() -> None:
    pool = [
        record("one"),
        record("one"),
        record("One!"),
        record("two", "  "),
        record("", "three"),
        record("dev?"),
        record("TEST?"),
        record("four"),
        single_turn("five", "x", "a", "a: five", ["x", ""], 0),
    ]
    result = prepared(pool, [record("dev?", "other")], [record("test?"), record("dev?")])
    assert {r.prompt for r in result.pool} == {"one", "four"}
    reasons = {(reject.split, reject.reason): reject.record.origin for reject in result.rejects}
    assert reasons == {
        ("pool", "exact_duplicate"): "a: one",
        ("pool", "normalised_duplicate"): "a: One!",
        ("pool", "empty_response"): "a: two",
        ("pool", "empty_prompt"): "a: ",
        ("pool", "empty_choice"): "a: five",
        ("pool", "in_dev"): "a: dev?",
        ("pool", "in_test"): "a: TEST?",
        ("test", "in_dev"): "a: dev?",
    }


def test_one_question_with_two_answers_is_two_records() -> None:
    assert len(prepared([record("q", "a"), record("q", "b")], [record("d")], [record("t")]).pool) == 2


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "x", "X", "y"]), st.sampled_from("st")), max_size=40),
    st.integers(2, 30),
)
def test_every_record_is_kept_or_rejected_and_splits_are_disjoint(rows: list[tuple[str, str, str]], pool_rows: int) -> None:
    pool = [record("p", "1"), record("p", "2"), *(record(*row) for row in rows)]
    result = prepared(pool, [record("d"), record("a")], [record("t"), record("b")], pool_rows)
    card = result.card({"pool": "my.jsonl", "dev": "my.jsonl", "test": "my.jsonl"})
    assert card["pool"]["in"] == len(pool) == len(result.pool) + sum(reject.split == "pool" for reject in result.rejects)
    prompts = [{r.normalised_prompt for r in split} for split in (result.pool, result.dev, result.test)]
    assert not prompts[0] & prompts[1]
    assert not prompts[0] & prompts[2]
    assert not prompts[1] & prompts[2]


def test_the_draw_takes_an_equal_share_of_each_source_and_all_of_a_small_one() -> None:
    pool = [record(f"{source}{i}", source=source) for source, n in (("big", 90), ("mid", 40), ("small", 5)) for i in range(n)]
    result = prepared(pool, [record("d")], [record("t")], pool_rows=45)
    assert Counter(r.source for r in result.pool) == {"big": 20, "mid": 20, "small": 5}
    assert sum(reject.reason == "not_drawn" for reject in result.rejects) == 90


def test_the_same_seed_draws_the_same_rows() -> None:
    pool = [record(str(i)) for i in range(50)]
    first, second = (prepared(pool, [record("d")], [record("t")], pool_rows=10).pool for _ in range(2))
    assert first == second


@pytest.mark.parametrize("pool", [[], [record("only one")], [record("d"), record("t")]])
def test_a_pool_of_fewer_than_two_usable_records_is_refused(pool: list[Record]) -> None:
    with pytest.raises(ShedError, match=r"the pool has \d usable records and needs 2; set aside: "):
        prepared(pool, [record("d")], [record("t")])


def test_the_default_recipes_give_the_default_pool(project_root: object) -> None:
    """The packaged data sets as they are: 12,829 records, real duplicates, 2,000 drawn, 400 from each source."""
    from shed.data.recipes import read_split

    splits = [read_split(f"{project_root}/data/{split}.yaml") for split in ("pool", "dev", "test")]
    result = prepare(*splits, pool_rows=2000, dev_rows=300, test_rows=None, seed=1)
    card = result.card({split: f"{project_root}/data/{split}.yaml" for split in ("pool", "dev", "test")})
    assert card["pool"]["in"] == 12829
    assert set(card["pool"]["kept_by_source"].values()) == {400}
    assert card["pool"]["rejected_by_reason"]["exact_duplicate"] > 1000
    assert card["pool"]["licences"]["nq_open"] == "CC-BY-SA-3.0"
    assert card["dev"]["kept"] == 300
    assert card["test"]["rejected_by_reason"]["in_dev"] == 300
    assert all(r.choices[r.answer] == r.response for r in result.test if r.answer is not None)
