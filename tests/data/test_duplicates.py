"""What counts as the same record, the same prompt, and nearly the same text."""

import dataclasses
import random
import unicodedata

import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given
from hypothesis import strategies as st

from shed.data.duplicates import content_key, normalise, prompt_key, prompt_keys
from shed.data.near_duplicates import HASHES, Near, NearIndex, asked, bands_of, jaccard, said, shingles, sketch
from shed.data.records import Message, Record, single_turn

CALL = '[{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": {"town": "Oslo"}}}]'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello,  World!", "hello, world!"),
        ("  a\r\n\tb ", "A B"),
        ("caf\u00e9", "cafe\u0301"),  # composed and decomposed
        ("a\u00a0b", "a b"),
        ("\u1100\u1161", "\uac00"),  # a Hangul syllable in its letters
        ("ΟΔΟΣ", "οδος"),
        ("№ 5 ÅNGSTRÖM", "№ 5 \u212bngström"),
    ],
)
def test_case_spacing_and_unicode_form_fall(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7 + 2", "7 - 2"),
        ("4 < 4", "4 > 4"),
        ("C", "C#"),
        ("C", "C++"),
        ("😀", "😢"),
        ("👨‍👩‍👧", "👨👩👧"),
        ("x²", "x2"),
        ("½", "1⁄2"),
        ("Maße", "Masse"),
        ("resume", "résumé"),
        ("yes", "yes?"),
        ("3.14", "314"),
        ("snake_case", "snake case"),
        ("ab", "a b"),
        ("", "?"),
    ],
)
def test_what_may_be_the_meaning_stays(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)
    assert content_key(single_turn("q", one, "s", "o")) != content_key(single_turn("q", other, "s", "o"))


@given(st.text())
def test_normalising_twice_changes_nothing_and_forms_and_spacing_never_matter(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert normalise(f"\n {unicodedata.normalize('NFD', text)}\t") == once


def conversation(**changes: object) -> Record:
    first = Message("assistant", "", reasoning="look it up", tool_calls=CALL)
    turns = (
        Message("system", "Be brief"),
        Message("user", "Warm?"),
        first,
        Message("tool", "3", name="weather"),
        Message("assistant", "No"),
    )
    record = Record(turns, "s", "o", tools='[{"name": "weather"}]')
    turn = changes.pop("turn", None)
    if isinstance(turn, int):
        messages = list(turns)
        messages[turn] = dataclasses.replace(turns[turn], **changes)  # type: ignore[arg-type]
        return dataclasses.replace(record, messages=tuple(messages))
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        conversation(turn=0, role="user"),
        conversation(turn=1, content="Cold?"),
        conversation(turn=2, reasoning="guess"),
        conversation(turn=2, tool_calls=CALL.replace("Oslo", "Bergen")),
        conversation(turn=2, tool_calls=CALL.replace("weather", "climate")),
        conversation(turn=2, tool_calls=""),
        conversation(turn=2, weight=0.0),
        conversation(turn=3, name="climate"),
        conversation(tools='[{"name": "climate"}]'),
        conversation(choices=("No", "Yes"), answer=0),
    ],
)
def test_all_that_a_record_says_makes_it_another_record(other: Record) -> None:
    assert content_key(other) != content_key(conversation())


@pytest.mark.parametrize(
    "copy",
    [
        conversation(turn=1, content="WARM? "),
        conversation(turn=2, tool_calls=CALL.replace("call_1", "call_2")),
        conversation(turn=2, tool_calls=CALL.replace('{"town": "Oslo"}', '"{\\"town\\":\\"Oslo\\"}"')),
        conversation(source="elsewhere", origin="line 9", given='{"my": "row"}'),
    ],
)
def test_ids_of_calls_writing_of_arguments_and_sources_do_not(copy: Record) -> None:
    assert content_key(copy) == content_key(conversation())


def test_arguments_that_are_not_json_are_compared_as_text() -> None:
    broken = conversation(turn=2, tool_calls=CALL.replace('{"town": "Oslo"}', '"{town: Oslo"'))
    assert content_key(broken) not in {content_key(conversation()), content_key(conversation(turn=2, tool_calls=""))}


def test_a_conversation_has_a_prompt_for_each_turn_that_is_trained() -> None:
    turns = (Message("user", "q1"), Message("assistant", "a1"), Message("user", "q2"), Message("assistant", "a2"))
    first, whole = prompt_keys(Record(turns, "s", "o"))
    assert first == prompt_key(single_turn("Q1 ", "another", "s", "o"))
    assert whole == prompt_key(Record(turns, "s", "o"))
    untrained = (turns[0], dataclasses.replace(turns[1], weight=0.0), *turns[2:])
    assert prompt_keys(Record(untrained, "s", "o")) == [whole]
    greeting = (Message("assistant", "Hello!"), *turns[2:])
    assert len(prompt_keys(Record(greeting, "s", "o"))) == 1


def test_shingles_are_three_words_or_three_characters_where_words_have_no_spaces() -> None:
    assert shingles("The cat  SAT down") == {"the cat sat", "cat sat down"}
    assert shingles("7 + 2") == {"7 + 2"}
    assert shingles("今天天气好") == {"今 天 天", "天 天 气", "天 气 好"}
    assert shingles("用 Python 写") == {"用 python 写"}
    assert shingles("hi") == {"hi"}
    assert jaccard({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)


def index_of(threshold: float, *texts: str) -> NearIndex:
    """An index to which the texts were added, one after the other."""
    index = NearIndex(threshold, texts.__getitem__)
    for text in texts:
        index.add(sketch(text))
    return index


def test_a_hit_has_the_exact_similarity_and_the_nearest_is_given() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"
    far, near = text.replace("six", "6"), text.replace("twelve", "12")
    assert index_of(0.5).nearest(sketch(text)) is None
    hit = index_of(0.5, far, near, near).nearest(sketch(text))
    assert hit is not None
    assert (hit.place, hit.similarity) == (1, pytest.approx(9 / 11))
    assert index_of(0.85, near).nearest(sketch(text)) is None
    assert index_of(1.0, text.upper()).nearest(sketch(text)) is not None


@given(st.lists(st.integers(0, 30), min_size=5, max_size=30), st.integers(0, 29), st.sampled_from([0.3, 0.6, 0.9]))
def test_no_hit_is_below_the_threshold_and_a_copy_is_always_found(words: list[int], place: int, threshold: float) -> None:
    text = " ".join(map(str, words))
    changed = " ".join(map(str, [*words[:place], "new", *words[place:]]))
    index = index_of(threshold, text)
    copy, hit = index.nearest(sketch(text)), index.nearest(sketch(changed))
    assert copy is not None
    assert copy.similarity == 1
    assert hit is None or hit.similarity == jaccard(shingles(text), shingles(changed)) >= threshold


def test_nearly_all_pairs_at_the_threshold_are_found() -> None:
    """Pairs of 100 words of which the last 10 differ: 88 shingles of 108 are shared, a similarity of 0.81."""
    pairs = [
        (" ".join(f"w{n}x{i}" for i in range(100)), " ".join(f"w{n}x{i + 900 * (i > 89)}" for i in range(100)))
        for n in range(200)
    ]
    index = index_of(0.8, *(one for one, _ in pairs))
    hits = [index.nearest(sketch(other)) for _, other in pairs]
    assert sum(hit is not None for hit in hits) >= 190
    assert all(hit is None or hit.place == n for n, hit in enumerate(hits))


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_hits_are_those_of_the_library_that_hashes(threshold: float) -> None:
    """Of three thousand texts, more than the index has room for at first, most are like some others.

    The nearest among all that share a band of the hashes is given, the earliest of equal ones.
    """
    rng = random.Random(1)
    topics = [[f"w{rng.randrange(500)}" for _ in range(30)] for _ in range(300)]
    texts = []
    for n in range(3000):
        words = topics[n % 300][:]
        for _ in range(rng.randrange(4)):
            words[rng.randrange(30)] = f"w{rng.randrange(500)}"
        texts.append(" ".join(words))
    lsh = MinHashLSH(num_perm=HASHES, params=bands_of(threshold))
    index, shared = NearIndex(threshold, texts.__getitem__), 0
    for n, text in enumerate(texts):
        own = sketch(text)
        hashes = MinHash(hashvalues=own.minhash, scheme="affine32")
        like = {place: jaccard(own.shingles, shingles(texts[place])) for place in sorted(lsh.query(hashes))}
        best = max(like, key=lambda place: like[place], default=None)
        hit = index.nearest(own)
        if best is None or like[best] < threshold:
            assert hit is None
        else:
            assert hit == Near(best, like[best])
            shared += 1
        lsh.insert(n, hashes)
        index.add(own)
    assert shared > 300


def test_a_long_system_prompt_does_not_make_unrelated_records_alike() -> None:
    system = Message("system", "You have these tools. " * 50)
    one = Record((system, Message("user", "What is the capital?"), Message("assistant", "It is Oslo.")), "s", "o")
    other = Record((system, Message("user", "Bake a cake for me"), Message("assistant", "With pleasure.")), "s", "o")
    for text in (said, asked):
        index = index_of(0.3, text(one))
        assert index.nearest(sketch(text(other))) is None
        assert index.nearest(sketch(text(dataclasses.replace(one, messages=one.messages[1:])))) is not None
