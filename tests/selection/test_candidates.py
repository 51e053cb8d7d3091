"""Which rows may be selected, and how their length counts."""

import numpy as np
import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.selection.candidates import LeastFit, candidates, counts_left_out, left_out, totals
from shed.selection.sampling import Size, select

CLUSTERS = pd.DataFrame({"id": ["short", "long", "longest"], "source": "web", "cluster": 0, "distance": [0.1, 0.2, 0.3]})
LENGTHS = pd.DataFrame(
    {"id": ["longest", "long", "short"], "tokens": 9, "response_tokens": [300, 30, 3], "too_long": [True, False, False]}
)
RATINGS = pd.DataFrame({"id": ["short", "long", "longest"], "rating": [0.9, 1.2, 9.0]})
SCORES = pd.DataFrame({"cluster": [0], "score": [1.0], "rank": [1]})


def test_a_record_that_is_longer_than_the_context_is_left_out_unless_it_is_asked_for() -> None:
    assert candidates(CLUSTERS, LENGTHS, RATINGS, "record", too_long=False)["id"].tolist() == ["short", "long"]
    table = candidates(CLUSTERS, LENGTHS, RATINGS, "record", too_long=True)
    assert table["id"].tolist() == ["short", "long", "longest"]
    assert table["response_tokens"].tolist() == [3, 30, 300]


def test_a_rating_per_token_puts_the_short_record_first() -> None:
    first = {}
    for per in ("record", "token"):
        table = candidates(CLUSTERS, LENGTHS, RATINGS, per, too_long=False)
        first[per] = select(table, SCORES, "top", Size(1), 1.0, 0)["id"].iloc[0]
    assert first == {"record": "long", "token": "short"}
    assert select(table, SCORES, "top", Size(1), 1.0, 0)["reason"].tolist() == ["rated 1 of 2, 0.3 a response token"]
    np.testing.assert_allclose(table["rating"], [0.3, 0.04])


def test_without_ratings_there_are_candidates_all_the_same() -> None:
    table = candidates(CLUSTERS, LENGTHS, RATINGS[:0], "token", too_long=False)
    assert table["rating"].isna().all()
    assert len(table) == 2


def test_a_pool_of_records_that_are_all_too_long_is_refused_in_words() -> None:
    with pytest.raises(ShedError, match="all 3 records of the pool are longer than the context; raise it, or ask") as error:
        candidates(CLUSTERS, LENGTHS.assign(too_long=True), RATINGS, "record", too_long=False)
    assert error.value.setting == "records that are too long"


FITS = pd.DataFrame({"id": ["long", "longest", "short"], "prompt_fit": [0.2, 0.2, 0.5]})


def test_a_record_with_a_lower_prompt_fit_than_is_asked_for_is_left_out() -> None:
    fit = LeastFit(FITS, 0.5)
    assert candidates(CLUSTERS, LENGTHS, RATINGS, "record", True, fit)["id"].tolist() == ["short"]
    assert candidates(CLUSTERS, LENGTHS, RATINGS, "record", True, LeastFit(FITS, 0.2))["id"].tolist() == [*CLUSTERS["id"]]
    for too_long, counts in ((False, (1, 1)), (True, (0, 2))):
        found = counts_left_out(left_out(LENGTHS, too_long, fit))
        assert found == {"left_out_as_too_long": counts[0], "left_out_by_prompt_fit": counts[1]}


def test_where_no_fit_is_asked_for_the_rows_are_the_same() -> None:
    for too_long in (False, True):
        table = candidates(CLUSTERS, LENGTHS, RATINGS, "record", too_long, LeastFit(FITS, 1e-9))
        pd.testing.assert_frame_equal(table, candidates(CLUSTERS, LENGTHS, RATINGS, "record", too_long))


@pytest.mark.parametrize(
    ("too_long", "said"),
    [
        (True, "none of the 3 records of the pool is left: 3 have a prompt fit below 0.9; ask for a lower one"),
        (False, "none of the 3 records of the pool is left: 1 are longer than the context, and the other 2 have a prompt fit"),
    ],
)
def test_a_pool_of_which_no_record_fits_is_refused_in_words(too_long: bool, said: str) -> None:
    with pytest.raises(ShedError, match=said) as error:
        candidates(CLUSTERS, LENGTHS, RATINGS, "record", too_long, LeastFit(FITS, 0.9))
    assert error.value.setting == "least prompt fit"


def test_a_record_that_was_not_judged_is_not_taken_for_one_that_fits() -> None:
    with pytest.raises(ShedError, match="1 of 3 records have no prompt fit"):
        candidates(CLUSTERS, LENGTHS, RATINGS, "record", True, LeastFit(FITS[1:], 0.1))


def test_totals_are_those_of_the_rows() -> None:
    assert totals(LENGTHS) == {
        "rows": 3,
        "too_long": 1,
        "response_tokens": 333,
        "response_tokens_mean": 111.0,
        "response_tokens_median": 30.0,
        "response_tokens_max": 300,
    }
