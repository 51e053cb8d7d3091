"""Groups of records that ask the same, or nearly so, to which every pair of the pool belongs or not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed.data.duplicates import prompt_key, prompt_keys
from shed.data.near_duplicates import asked, jaccard, shingles
from shed.data.records import Message, Record, single_turn
from shed.data.splitting.alike import Alike


def record(prompt: str, response: str = "yes", source: str = "a") -> Record:
    return single_turn(prompt, response, source, f"{source}: {prompt}")


def talk(*turns: str) -> Record:
    """User and assistant in turns."""
    return Record(tuple(Message(("user", "assistant")[n % 2], turn) for n, turn in enumerate(turns)), "talk", "")


def alike(one: Record, other: Record, near: float) -> bool:
    """The definition, pair by pair."""
    if prompt_key(one) in prompt_keys(other) or prompt_key(other) in prompt_keys(one):
        return True
    return jaccard(shingles(asked(one)), shingles(asked(other))) >= near


def groups_by_pairs(records: list[Record], near: float) -> list[set[int]]:
    groups: list[set[int]] = []
    for row, one in enumerate(records):
        near_by = [group for group in groups if any(alike(one, records[member], near) for member in group)]
        groups = [group for group in groups if group not in near_by] + [{row}.union(*near_by)]
    return groups


WORDS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=7).map(" ".join)


@given(st.lists(st.lists(WORDS, min_size=2, max_size=4), min_size=1, max_size=14), st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_a_group_is_all_that_are_alike_by_chains_of_pairs(turns: list[list[str]], near: float) -> None:
    records = [talk(*(texts if len(texts) % 2 == 0 else texts[1:] or texts * 2)) for texts in turns]
    expected = {row: tuple(sorted(group)) for group in groups_by_pairs(records, near) for row in group}
    found = Alike(records, near, most=len(records))
    assert {row: found.group(row) for row in range(len(records))} == expected


@given(st.permutations(range(12)), st.integers(1, 6))
def test_a_group_that_is_too_large_is_none_whichever_of_its_records_is_asked_for(order: list[int], most: int) -> None:
    """Prompts of a window that moves by one word: each is near the next alone."""
    words = [f"w{n}" for n in range(30)]
    chain = [record(" ".join(words[n : n + 12])) for n in range(5)]
    others = [record(f"quite another question of number {n}") for n in range(3)] + [record("Q?", str(n)) for n in range(4)]
    records = chain + others
    assert not alike(chain[0], chain[2], 0.7)
    sizes = dict.fromkeys(range(5), 5) | dict.fromkeys(range(5, 8), 1) | dict.fromkeys(range(8, 12), 4)
    found = Alike(records, 0.7, most)
    for row in order:
        group = found.group(row)
        assert (group is None) == (sizes[row] > most)
        assert group is None or len(group) == sizes[row]


def test_a_first_turn_that_many_conversations_share_joins_them_only_if_a_record_asks_it_alone() -> None:
    talks = [talk("Hi", "Hello", f"tell me about the river of number {n} and of its fish and boats", "so") for n in range(3)]
    river = [record("unlike all")]
    assert [Alike(talks + river, 0.9, 9).group(row) for row in range(4)] == [(0,), (1,), (2,), (3,)]
    assert Alike([*talks, record("hi")], 0.9, 9).group(1) == (0, 1, 2, 3)


@pytest.mark.parametrize("template", ["", "say in a word whether the writer of this review is pleased with what he bought : "])
def test_no_pair_at_the_threshold_is_missed(template: str) -> None:
    """MinHash would miss some of them; and a template makes all prompts share much."""
    rng = random.Random(3)
    records = []
    for _ in range(400):
        words = [f"w{rng.randrange(10**6)}" for _ in range(19)]
        records += [record(template + " ".join(words)), record(template + " ".join([*words[:16], "x", "y", "z"]))]
    near = jaccard(shingles(records[0].prompt), shingles(records[1].prompt))  # that of each pair
    found = Alike(records, near, 2)
    assert all(found.group(row) == (row - row % 2, row - row % 2 + 1) for row in range(len(records)))


@pytest.mark.parametrize("near", [0.35, 0.5, 0.65, 0.8])
def test_groups_of_prompts_of_few_words_are_those_of_all_pairs(near: float) -> None:
    """Some words are in many prompts and some in few, so that the order of trigrams matters."""
    rng = random.Random(7)
    vocabulary = [f"w{n}" for n in range(12)]
    weights = [1 / (n + 1) for n in range(12)]
    records = [record(" ".join(rng.choices(vocabulary, weights, k=rng.randint(3, 14))), str(n)) for n in range(250)]
    expected = {row: tuple(sorted(group)) for group in groups_by_pairs(records, near) for row in group}
    assert len(set(expected.values())) > 30
    found = Alike(records, near, len(records))
    assert {row: found.group(row) for row in range(len(records))} == expected
