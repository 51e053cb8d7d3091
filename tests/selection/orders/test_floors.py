"""Equal parts of the budget for sources and for quarters by length: who gets how many rows, and what each is told."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.selection.orders.floors import Balance, Floor, groups_of, quarters
from shed.selection.sampling import Sampler, Size, select

SHORT_IS_RATED_BEST = pd.DataFrame(
    {
        "id": [f"r{n:02}" for n in range(40)],
        "source": ["web"] * 24 + ["books"] * 16,
        "cluster": np.arange(40) % 4,
        "distance": np.linspace(0, 1, 40),
        "rating": -np.arange(40) / 100,  # the shortest are rated best
        "response_tokens": np.arange(40) + 1,
    }
)
SCORES = pd.DataFrame({"cluster": [2, 0, 1, 3], "score": [0.5, 0.1, 0.0, -0.3], "rank": [1, 2, 3, 4]})
PARTIAL: tuple[Sampler, ...] = ("top", "qocs", "qwcs", "random")


def taken(sampler: Sampler, size: Size, floor: Floor | None, table: pd.DataFrame = SHORT_IS_RATED_BEST) -> pd.DataFrame:
    found = select(table, SCORES, sampler, size, 1.0, 3, floor)
    return found.merge(table[["id", "response_tokens"]], on="id", how="left")


@pytest.mark.parametrize("sampler", PARTIAL)
def test_each_quarter_of_lengths_gives_a_quarter_of_the_rows(sampler: Sampler) -> None:
    found = taken(sampler, Size(8), Floor("length", 1.0))
    assert np.bincount((found["response_tokens"] - 1) // 10).tolist() == [2, 2, 2, 2]
    assert set(found["reason"]) == {
        f"one of 2 that the floor keeps of responses of {first} to {first + 9} tokens" for first in (1, 11, 21, 31)
    }
    if sampler == "top":
        assert found["id"].tolist() == ["r00", "r01", "r10", "r11", "r20", "r21", "r30", "r31"]  # the best rated of each
        assert taken("top", Size(8), None)["response_tokens"].max() == 8


def test_what_cannot_be_shared_out_evenly_goes_by_the_sampler_and_says_so() -> None:
    found = taken("top", Size(11), Floor("length", 1.0))
    rest = found[~found["reason"].str.contains("floor")]
    assert rest["id"].tolist() == ["r02", "r03", "r04"]
    assert rest["reason"].iloc[0] == "rated 3 of 40, -0.02; from the rest of the budget"
    half = taken("top", Size(16), Floor("length", 0.5))
    assert half["reason"].str.contains("floor").sum() == 8
    assert taken("top", Size(3), None)["reason"].iloc[2] == "rated 3 of 40, -0.02"


def test_rows_of_one_length_are_never_in_two_quarters() -> None:
    tokens = pd.Series([2] * 55 + [5] * 25 + [9] * 20)
    names = quarters(tokens)
    assert names.groupby(tokens).nunique().tolist() == [1, 1, 1]
    assert names.unique().tolist() == ["responses of 2 tokens", "responses of 5 tokens", "responses of 9 tokens"]
    assert quarters(pd.Series([1] * 7)).unique().tolist() == ["responses of 1 token"]
    one_length = SHORT_IS_RATED_BEST.assign(response_tokens=4)
    both = [taken("top", Size(6), floor, one_length)["id"].tolist() for floor in (None, Floor("length", 1.0))]
    assert both[0] == both[1]


@pytest.mark.parametrize("sampler", PARTIAL)
def test_each_source_has_its_part_and_its_own_quarters_an_equal_part_of_that(sampler: Sampler) -> None:
    found = taken(sampler, Size(16), Floor("source_and_length", 1.0))
    assert found["source"].value_counts().to_dict() == {"web": 8, "books": 8}
    of_web = found.loc[found["source"] == "web", "response_tokens"]
    assert np.bincount((of_web - 1) // 6).tolist() == [2, 2, 2, 2]
    assert "one of 2 that the floor keeps of source books with responses of 25 to 28 tokens" in set(found["reason"])


def test_a_source_of_one_length_has_no_smaller_part_than_another() -> None:
    table = SHORT_IS_RATED_BEST.assign(response_tokens=[*range(1, 25), *[3] * 16])
    groups = groups_of(table, "source_and_length")
    assert groups.parts["source books with responses of 3 tokens"] == 0.5
    assert sum(groups.parts.values()) == pytest.approx(1)
    assert taken("top", Size(16), Floor("source_and_length", 1.0), table)["source"].value_counts()["books"] == 8


def test_a_group_with_too_few_rows_gives_all_and_the_rest_goes_by_the_sampler() -> None:
    table = SHORT_IS_RATED_BEST.assign(source=["web"] * 39 + ["rare"])
    found = taken("top", Size(16), Floor("source_and_length", 1.0), table)
    kept = found[found["reason"].str.contains("floor")]
    assert kept["source"].value_counts().to_dict() == {"web": 8, "rare": 1}
    assert len(found) == 16
    assert found["id"].is_unique


@pytest.mark.parametrize("sampler", PARTIAL)
def test_a_budget_of_tokens_is_shared_out_in_tokens(sampler: Sampler) -> None:
    found = taken(sampler, Size(240, "tokens"), Floor("length", 1.0))
    kept = found[found["reason"].str.contains("floor")]
    of_quarters = kept.groupby((kept["response_tokens"] - 1) // 10)["response_tokens"].sum()
    assert (of_quarters <= 60).all()  # rows that are whole, and no more than the part
    assert len(of_quarters) == 4
    assert abs(found["response_tokens"].sum() - 240) <= found["response_tokens"].max() / 2


@pytest.mark.parametrize(
    ("by", "size", "said"),
    [
        (
            "length",
            Size(3),
            r"a floor of 1 of 3 rows is less than one row for each of 4 quarters by length; raise the floor or",
        ),
        ("source_and_length", Size(7), r"of 7 rows is less than one row for each of 8 quarters by length of the sources"),
        ("length", Size(60, "tokens"), r"a floor of 1 of 60 response tokens is less than one row for each of 4 quarters"),
    ],
)
def test_parts_of_less_than_a_row_are_refused(by: Balance, size: Size, said: str) -> None:
    with pytest.raises(ShedError, match=said) as error:
        taken("top", size, Floor(by, 1.0))
    assert error.value.setting == "floor"


@pytest.mark.parametrize("by", get_args(Balance))
def test_every_row_is_in_one_group_and_parts_make_up_the_whole(by: Balance) -> None:
    groups = groups_of(SHORT_IS_RATED_BEST, by)
    assert groups.labels.index.equals(SHORT_IS_RATED_BEST.index)
    assert set(groups.labels) == set(groups.parts)
    assert sum(groups.parts.values()) == pytest.approx(1)
