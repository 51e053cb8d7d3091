"""A screen: of a large pool a part is rated, most of it records that are like the best of some random ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_regime import REGIME

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.models.specs import ModelSpec
from shed.selection.candidates import candidates
from shed.selection.sampling import Size, select
from shed.valuation import ratings, screening
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.rating import rater
from shed.valuation.rating.rater import losses
from shed.valuation.ratings import rate
from shed.valuation.screening import counts, drawn, promising

TOPICS = {
    "sums": "add the numbers {} and {} and say the result",
    "rivers": "through which country does river {} of length {} flow",
    "verse": "write a rhyme about the moon, stanza {} of {}",
}


@pytest.fixture
def pool() -> list[Record]:
    """300 records of three topics in turn."""
    return [
        single_turn(text.format(n, n * 7 % 31), f"it is {n}", topic, f"file {n}")
        for n in range(100)
        for topic, text in TOPICS.items()
    ]


@pytest.mark.parametrize("size", [1, 10])
def test_those_like_the_best_are_rated_by_records_and_by_tokens(pool: list[Record], size: int) -> None:
    places = drawn(len(pool), 0.3, seed=1)
    assert len(places) == 30
    good = np.array([pool[place].source == "rivers" for place in places])
    lengths = np.where(good, size, 1)  # where responses are long, they are the best by record and no better by token
    chosen = promising(pool, 0.3, places, np.where(good, 0.01, -0.01) * lengths, lengths)
    assert len(chosen) == 60
    assert not set(chosen) & set(places)
    assert np.mean([pool[place].source == "rivers" for place in chosen]) > 0.95


def test_a_record_that_is_good_for_its_length_is_found_as_one_that_is_good_in_all(pool: list[Record]) -> None:
    places = drawn(len(pool), 0.3, seed=1)
    topics = np.array([pool[place].source for place in places])
    lengths = np.where(topics == "verse", 100, 1)
    found = promising(pool, 0.3, places, np.select([topics == "verse", topics == "rivers"], [0.05, 0.01], 0.0), lengths)
    of = [pool[place].source for place in found]
    assert min(of.count("verse"), of.count("rivers")) > 0.4 * len(of)  # the best by record, and the best by token


@pytest.mark.parametrize(("size", "share", "expected"), [(2000, 0.5, (333, 1000)), (10, 0.01, (2, 2)), (3, 0.9, (2, 3))])
def test_a_third_of_what_is_rated_is_drawn_at_random(size: int, share: float, expected: tuple[int, int]) -> None:
    assert counts(size, share) == expected
    assert len(drawn(size, share, 3)) == expected[0]


def test_texts_in_any_script_and_of_any_length_are_compared() -> None:
    texts = ["水" * 5000, "?", "a", "b", "été", "x" * 10_000]
    pool = [single_turn(text, text, "any", f"file {n}") for n, text in enumerate(texts)]
    found = promising(pool, 0.7, np.array([0, 2]), np.array([1.0, -1.0]), np.array([3, 1]))
    assert len(found) == 2


def test_rated_are_a_part_of_the_pool_as_all_would_be(
    tiny_model: str, pool: list[Record], records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratings, "BLOCK", 4)
    some, spec, calls = pool[:40], ModelSpec(tiny_model, "plain", 200), []
    whole = rate(some, records, spec, None, REGIME, 6)
    part = rate(some, records, spec, None, REGIME, 6, screen=0.5)
    all_ratings = dict(zip(whole.ids, whole.ratings, strict=True))
    assert len(part.ids) == part.metrics["rated"] == part.metrics["screened_out"] == 20
    assert part.ids == [record.id for record in some if record.id in set(part.ids)]  # in the pool's order
    assert {some[place].id for place in drawn(40, 0.5, REGIME.seed)} < set(part.ids)
    np.testing.assert_allclose(part.ratings, [all_ratings[id] for id in part.ids], rtol=1e-3, atol=1e-7)
    assert "screened_out" not in whole.metrics
    assert part.metrics["token_passes"] < whole.metrics["token_passes"]

    def stopped(*asked: object) -> np.ndarray:
        calls.append(1)
        if len(calls) == 4:  # in the second of the blocks that were found promising
            raise KeyboardInterrupt
        return losses(*asked)

    monkeypatch.setattr(rater, "losses", stopped)
    for _ in range(2):
        try:
            again = rate(some, records, spec, None, REGIME, 6, RatedBlocks(tmp_path, {}), screen=0.5)
        except KeyboardInterrupt:
            continue
    assert len(calls) == 3 + 1 + 3  # six blocks; one was stopped and rated again
    np.testing.assert_array_equal(again.ratings, part.ratings)


def test_top_takes_rated_rows_alone_and_refuses_where_they_are_too_few() -> None:
    clusters = pd.DataFrame({"id": list("abcd"), "source": "s", "cluster": 0, "distance": 0.0})
    lengths = pd.DataFrame({"id": list("abcd"), "tokens": 9, "response_tokens": 3, "too_long": False})
    rated = pd.DataFrame({"id": ["b", "d"], "rating": [-0.5, 0.25]})
    table = candidates(clusters, lengths, rated, "record", too_long=False)
    scores = pd.DataFrame({"cluster": [0], "score": [0.0], "rank": [1]})
    found = select(table, scores, "top", Size(2), 1.0, 1)
    assert found["id"].tolist() == ["d", "b"]
    assert found["reason"].tolist() == ["rated 1 of 2, 0.25", "rated 2 of 2, -0.5"]
    with pytest.raises(ShedError, match=r"1 of 3 rows to take were not rated: 2 of 4 were; rate more of the pool") as error:
        select(table, scores, "top", Size(3), 1.0, 1)
    assert error.value.setting == "screen"


def test_of_a_long_record_the_beginning_and_the_end_are_read() -> None:
    text = screening.text_of(single_turn("a" * 3000, "b" * 3000, "long", "file"))
    assert len(text) == screening.CHARACTERS + 1
    assert text[0] + text[-1] == "ab"
