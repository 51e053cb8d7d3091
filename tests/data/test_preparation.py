"""Splits that share nothing, and an account of every row that was set aside."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed.common.errors import ShedError
from shed.data.duplicates import prompt_key
from shed.data.preparation import NO_TASKS, PreparedData, prepare
from shed.data.readers import BadRecord, ReaderSettings, Reading
from shed.data.records import Message, Record, single_turn
from shed.data.splits import licences, read_split

LICENCES: dict[str, dict[str, str]] = {"pool": {"talk": "MIT"}, "dev": {}, "test": {}}  # as far as a recipe says
LONG = "write a short story about a fox that learns to sail a small boat across the wide cold lake"


def record(prompt: str, response: str = "yes", source: str = "a") -> Record:
    return single_turn(prompt, response, source, f"{source}: {prompt}")


def talk(*turns: str, weights: Iterable[float] = ()) -> Record:
    """User and assistant in turns."""
    roles = ("user", "assistant")
    messages = [Message(roles[n % 2], turn) for n, turn in enumerate(turns)]  # type: ignore[arg-type]
    for n, weight in enumerate(weights):
        messages[2 * n + 1] = dataclasses.replace(messages[2 * n + 1], weight=weight)
    return Record(tuple(messages), "talk", f"talk: {turns[-2]}")


def prepared(
    pool: Iterable[Record | BadRecord],
    dev: Iterable[Record | BadRecord] = (record("dev only"),),
    test: Iterable[Record | BadRecord] = (record("test only"),),
    pool_rows: int | None = None,
    near: float | None = None,
    tasks: Mapping[str, Iterable[str]] = NO_TASKS,
    unfit: Callable[[Record], str | None] = lambda record: None,
) -> PreparedData:
    return prepare(
        pool, dev, test, pool_rows=pool_rows, dev_rows=None, test_rows=None, near=near, seed=1, tasks=tasks, unfit=unfit
    )


def reasons(result: PreparedData) -> dict[tuple[str, str], str]:
    return {(reject.split, reject.reason): reject.record.origin for reject in result.rejects}


def test_each_kind_of_unusable_row_is_set_aside_with_its_reason_and_origin() -> None:
    pool = [
        record("one"),
        record("one"),
        record(" ONE"),
        record("One!"),
        record("two", "  "),
        record("", "three"),
        record("dev?"),
        record("TEST?"),
        BadRecord("my.jsonl, line 7", "my", "not valid JSON", '{"instruction": '),
        record("four"),
        single_turn("five", "x", "a", "a: five", ["x", ""], 0),
        single_turn("six", "x", "a", "a: six", ["x", "y", " x"], 0),
    ]
    result = prepared(pool, [record("dev?", "other")], [record("test?"), record("dev?")])
    assert {r.prompt for r in result.pool} == {"one", "One!", "four"}
    assert reasons(result) == {
        ("pool", "exact_duplicate"): "a: one",
        ("pool", "normalised_duplicate"): "a:  ONE",
        ("pool", "empty_response"): "a: two",
        ("pool", "empty_prompt"): "a: ",
        ("pool", "empty_choice"): "a: five",
        ("pool", "equal_choices"): "a: six",
        ("pool", "in_dev"): "a: dev?",
        ("pool", "in_test"): "a: TEST?",
        ("pool", "not valid JSON"): "my.jsonl, line 7",
        ("test", "in_dev"): "a: dev?",
    }


def test_the_rows_of_rejects_hold_what_was_read() -> None:
    bad = BadRecord("my.jsonl, line 7", "my", "not valid JSON", '{"instruction": ')
    result = prepared([record("one"), record("four"), record("two", ""), bad])
    empty, unread = (reject.to_row() for reject in result.rejects)
    assert unread == {
        "reason": "not valid JSON",
        "split": "pool",
        "origin": "my.jsonl, line 7",
        "source": "my",
        "text": '{"instruction": ',
    }
    assert {key: empty[key] for key in ("reason", "split", "origin", "source")} == {
        "reason": "empty_response",
        "split": "pool",
        "origin": "a: two",
        "source": "a",
    }
    assert empty["messages"] == [{"role": "user", "content": "two"}, {"role": "assistant", "content": ""}]
    json.dumps([empty, unread])


def test_rows_are_read_once_and_may_come_one_at_a_time() -> None:
    def stream(name: str) -> Iterator[Record]:
        yield from (record(f"{name} {i}") for i in range(5))

    result = prepared(stream("pool"), stream("dev"), stream("test"))
    assert [len(split) for split in (result.pool, result.dev, result.test)] == [5, 5, 5]


def test_one_question_with_two_answers_is_two_records_and_signs_tell_records_apart() -> None:
    assert len(prepared([record("q", "a"), record("q", "b")]).pool) == 2
    assert len(prepared([record("7 + 2"), record("7 - 2"), record("C"), record("C#"), record("😀"), record("😢")]).pool) == 6


def test_a_prompt_inside_a_conversation_is_in_another_split_too() -> None:
    question = record("What is a stoat?", "An animal.")
    inside = talk("what is a stoat?", "A weasel.", "Thanks", "Welcome")
    result = prepared([record("one"), record("two"), inside], [question])
    assert reasons(result) == {("pool", "in_dev"): "talk: Thanks"}
    # the other way round: dev's conversation asks what the pool's record asks
    result = prepared([record("one"), record("two"), question], [inside])
    assert reasons(result) == {("pool", "in_dev"): "a: What is a stoat?"}
    # not trained on, not leaked; and two conversations that begin alike are two
    read_only = talk("What is a stoat?", "A weasel.", "Thanks", "Welcome", weights=(0.0, 1.0))
    greetings = talk("Hi", "Hello!", "Sing", "La"), talk("Hi", "Hello!", "Dance", "No")
    assert not prepared([record("one"), read_only], [question]).rejects
    assert not prepared([record("one"), record("two"), greetings[0]], [greetings[1]]).rejects


def test_near_duplicates_are_set_aside_with_the_pair_and_its_score() -> None:
    first = record(LONG, "once there was a fox")
    copy = record(LONG.replace("wide", "vast"), "once there was a fox")
    pool = [first, copy, record("seven"), record("name a bird that cannot fly at all", "a kiwi")]
    assert len(prepared(pool).pool) == 4
    result = prepared(pool, near=0.7)
    (reject,) = result.rejects
    assert reject.record == copy
    row = reject.to_row()
    assert (row["reason"], row["of"], row["id"]) == ("near_duplicate", first.id, copy.id)
    assert row["similarity"] == pytest.approx(19 / 25)  # 24 words make 22 shingles; one word is in three
    assert not prepared(pool, near=0.8).rejects


def test_near_prompts_of_dev_and_test_are_set_aside_whatever_is_answered() -> None:
    asked_in_dev = record(LONG, "no")
    asked_in_test = record("name a bird that cannot fly at all and say where it lives now", "a kiwi")
    leaks = [
        record(LONG.replace("small", "tiny"), "the fox sailed for many days until it saw land"),
        record(asked_in_test.prompt.replace("now", "today"), "a penguin"),
    ]
    result = prepared([record("one"), record("two"), *leaks], [asked_in_dev], [asked_in_test], near=0.6)
    rows = {reject.reason: reject.of for reject in result.rejects}
    assert rows == {"near_dev": asked_in_dev.id, "near_test": asked_in_test.id}
    # the second of two near-copies is kept in the splits that measure
    assert len(prepared([record("one"), record("two")], [asked_in_dev, leaks[0]], near=0.6).dev) == 2


def test_questions_of_named_tasks_go_from_the_pool_and_from_dev_and_stay_in_test() -> None:
    tasks = {"arc_easy": ["Which gas do plants take in?", LONG]}
    equal, like = record("which gas do plants take in?"), record(LONG.replace("small", "tiny"))
    result = prepared([record("one"), record("two"), equal, like], test=[equal], tasks=tasks)
    assert reasons(result) == {("pool", "in_arc_easy"): "a: which gas do plants take in?"}
    assert result.test == [equal]
    result = prepared([record("one"), record("two"), like], [record("dev"), equal], [equal], near=0.6, tasks=tasks)
    assert reasons(result) == {
        ("dev", "in_arc_easy"): equal.origin,
        ("pool", "near_arc_easy"): like.origin,
    }
    assert [reject.of for reject in result.rejects] == [None, "2"]


def test_a_share_of_bad_rows_is_allowed_and_more_is_an_error_that_names_them() -> None:
    bad = [BadRecord(f"p.jsonl, line {n}", "p", "not valid JSON", "{") for n in range(3)]
    sound = [*(record(str(n)) for n in range(14)), single_turn("14", "yes", "p", "p.jsonl, line 3")]
    result = prepared([*sound, *bad, record("x", ""), record("1")])
    result.check(0.2)  # 4 of 20; the duplicate does not count
    with pytest.raises(ShedError) as error:
        result.check(0.15)
    assert error.value.setting == "max rejects"
    assert str(error.value) == (
        "the pool: 4 of 20 rows cannot be read, are empty or do not fit the model, a share of 0.2 where 0.15 is allowed: "
        "3 not valid JSON (first: p.jsonl, line 0), 1 empty_response (first: a: x); "
        "each is in rejects.jsonl; mend the rows, or allow more"
    )
    assert sum(reject.reason == "not valid JSON" for reject in result.rejects) == 3
    # rows that were not drawn, duplicates and leaks are no fault of the rows
    prepared([*sound, *sound, record("dev only")], pool_rows=3).check(0.0)
    with pytest.raises(ShedError, match="the dev: 1 of 2 rows"):
        prepared(sound, [single_turn("d", "yes", "p", "p.jsonl, line 9"), bad[0]]).check(0.4)


def test_records_that_the_model_cannot_take_are_set_aside_from_each_split_and_count() -> None:
    def unfit(one: Record) -> str | None:
        return "the template has no turns of tools" if "tool" in one.prompt else None

    wrong = record("use a tool")
    result = prepared([record("one"), record("two"), wrong], [record("d"), record("tool d")], unfit=unfit)
    assert reasons(result) == {
        ("pool", "unfit: the template has no turns of tools"): wrong.origin,
        ("dev", "unfit: the template has no turns of tools"): "a: tool d",
    }
    result.check(0.5)
    with pytest.raises(
        ShedError, match=r"the dev: 1 of 2 rows .* 1 unfit: the template has no turns of tools \(first: a: tool d"
    ):
        result.check(0.4)


def test_an_error_of_many_reasons_tells_the_largest_and_counts_the_rest() -> None:
    bad = [BadRecord(f"line {n}", "p", f"reason {min(n, 4)}", "") for n in range(9)]
    with pytest.raises(
        ShedError, match=r"5 reason 4 \(first: line 4\), 1 reason 0 \(first: line 0\), .*, 2 for other reasons;"
    ):
        prepared(bad).check(0.5)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "x", "X", "y"]), st.sampled_from("st")), max_size=40),
    st.integers(2, 30),
    st.sampled_from([None, 0.5]),
)
def test_every_record_is_kept_or_rejected_and_splits_are_disjoint(
    rows: list[tuple[str, str, str]], pool_rows: int, near: float | None
) -> None:
    pool = [record("p", "1"), record("p", "2"), *(record(*row) for row in rows)]
    result = prepared(pool, [record("d"), record("a")], [record("t"), record("b")], pool_rows, near)
    card = result.card(LICENCES)
    assert card["pool"]["in"] == len(pool) == len(result.pool) + sum(reject.split == "pool" for reject in result.rejects)
    prompts = [{prompt_key(r) for r in split} for split in (result.pool, result.dev, result.test)]
    assert not prompts[0] & prompts[1]
    assert not prompts[0] & prompts[2]
    assert not prompts[1] & prompts[2]
    assert len({r.id for r in result.pool}) == len(result.pool)


def test_the_data_card_counts_turns_tools_and_forms() -> None:
    tools = dataclasses.replace(talk("a", "b", "c", "d e", weights=(0.0, 1.0)), tools='[{"name": "weather"}]')
    card = prepared([record("one two"), tools]).card(LICENCES, {"pool": {"messages": 1, "alpaca": 1}})
    pool = card["pool"]
    assert (pool["turns"], pool["trained_turns"], pool["records_with_tools"]) == (6, 2, 1)
    assert (pool["prompt_words_mean"], pool["response_words_mean"], pool["response_words_max"]) == (2.5, 1.5, 2)
    assert pool["forms"] == {"alpaca": 1, "messages": 1}
    assert pool["licences"] == {"talk": "MIT", "a": "the user's own"}
    assert "forms" not in card["dev"]


def test_the_draw_takes_an_equal_share_of_each_source_and_all_of_a_small_one() -> None:
    pool = [record(f"{source}{i}", source=source) for source, n in (("big", 90), ("mid", 40), ("small", 5)) for i in range(n)]
    result = prepared(pool, pool_rows=45)
    assert Counter(r.source for r in result.pool) == {"big": 20, "mid": 20, "small": 5}
    assert sum(reject.reason == "not_drawn" for reject in result.rejects) == 90


@pytest.mark.parametrize("near", [None, 0.5])
def test_the_same_seed_draws_the_same_rows(near: float | None) -> None:
    pool = [record(f"{LONG} {i % 20} {i}") for i in range(50)]
    first, second = (prepared(pool, pool_rows=10, near=near) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("pool", [[], [record("only one")], [record("d"), record("t")]])
def test_a_pool_of_fewer_than_two_usable_records_is_refused(pool: list[Record]) -> None:
    result = prepared(pool, [record("d")], [record("t")])
    with pytest.raises(ShedError, match=r"the pool has \d usable records and needs 2; set aside: ") as error:
        result.check(1.0)
    assert error.value.setting == "records of pool"
    result.card(LICENCES)


def test_the_default_recipes_give_the_default_pool(project_root: object) -> None:
    """The packaged data sets as they are: 12,829 records, real duplicates, 2,000 drawn, 400 from each source."""
    settings, reading = ReaderSettings(None, None, None, (), "all", 1.0), Reading()
    splits = [read_split(f"{project_root}/data/{split}.yaml", settings, reading) for split in ("pool", "dev", "test")]
    result = prepare(*splits, pool_rows=2000, dev_rows=300, test_rows=None, near=None, seed=1)
    result.check(0.05)
    card = result.card({split: licences(f"{project_root}/data/{split}.yaml") for split in ("pool", "dev", "test")})
    assert card["pool"]["in"] == 12829
    assert set(card["pool"]["kept_by_source"].values()) == {400}
    assert card["pool"]["rejected_by_reason"]["exact_duplicate"] > 1000
    assert card["pool"]["licences"]["nq_open"] == "CC-BY-SA-3.0"
    assert card["dev"]["kept"] == 300
    assert card["test"]["rejected_by_reason"]["in_dev"] == 300
    assert all(r.choices[r.answer] == r.response for r in result.test if r.answer is not None)
