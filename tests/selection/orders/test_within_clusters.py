"""Which rows of a cluster are taken: random ones, the nearest to the centre, or the best rated."""

import numpy as np
import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.selection.orders.by_clusters import Within
from shed.selection.sampling import Sampler, Size, select

ROWS = pd.DataFrame(
    {
        "id": [f"r{n:02}" for n in range(30)],
        "source": "web",
        "cluster": np.arange(30) % 3,
        "distance": np.linspace(1, 0, 30),  # the last ones are the nearest
        "rating": [(7 * n) % 30 / 100 for n in range(30)],
    }
)
SCORES = pd.DataFrame({"cluster": [2, 0, 1], "score": [0.5, 0.1, -0.3], "rank": [1, 2, 3]})


def taken(sampler: Sampler, rows: int, within: Within | None, table: pd.DataFrame = ROWS, seed: int = 4) -> pd.DataFrame:
    found = select(table, SCORES, sampler, Size(rows), 1.0, seed, None, within)
    return found.merge(table[["id", "distance", "rating"]], on="id", how="left")


def test_qocs_takes_of_the_last_cluster_the_rows_that_are_asked_for() -> None:
    of_last = {within: taken("qocs", 14, within)[10:] for within in (None, "nearest", "rating", "random")}
    second = ROWS[ROWS["cluster"] == 0]
    assert of_last["nearest"]["id"].tolist() == ["r27", "r24", "r21", "r18"]
    assert of_last[None].equals(of_last["nearest"])
    assert of_last["rating"]["id"].tolist() == second.nlargest(4, "rating")["id"].tolist()
    assert set(of_last["random"]["id"]) not in (set(of_last["nearest"]["id"]), set(of_last["rating"]["id"]))
    assert of_last["random"]["id"].tolist() != taken("qocs", 14, "random", seed=5)[10:]["id"].tolist()
    assert [own["reason"].iloc[0] for own in of_last.values()] == [
        "cluster ranked 2, among its 4 rows nearest the centre",
        "cluster ranked 2, among its 4 rows nearest the centre",
        "cluster ranked 2, among its 4 first rows by rating",
        "cluster ranked 2, among 4 random rows of it",
    ]
    for own in (taken("qocs", 19, "random"), taken("qocs", 19, "rating")):
        assert set(own["reason"][:10]) == {"cluster ranked 1, taken whole"}
        assert not own["reason"][10:].str.contains("whole").any()  # nine of its ten


def test_qwcs_draws_the_same_clusters_whichever_of_their_rows_it_takes() -> None:
    drawn = {within: taken("qwcs", 12, within) for within in (None, "random", "nearest", "rating")}
    assert drawn[None].equals(drawn["random"])
    for within, column, best_first in (("nearest", "distance", True), ("rating", "rating", False)):
        own = drawn[within]
        assert own["cluster"].tolist() == drawn[None]["cluster"].tolist()
        for cluster, rows in own.groupby("cluster"):
            best = ROWS[ROWS["cluster"] == cluster].sort_values(column, ascending=best_first)["id"]
            assert rows["id"].tolist() == best[: len(rows)].tolist()
    assert drawn[None]["reason"].str.fullmatch(r"cluster ranked \d, drawn with probability [0-9.]+").all()
    assert drawn["nearest"]["reason"].iloc[0].endswith("; of its rows that were left the nearest to the centre")
    assert drawn["rating"]["reason"].iloc[0].endswith("; of its rows that were left the best rated")


@pytest.mark.parametrize("sampler", ["qocs", "qwcs"])
def test_rows_that_were_not_rated_come_last_and_say_so(sampler: Sampler) -> None:
    few = ROWS.assign(rating=ROWS["rating"].where(ROWS["cluster"].eq(2) & (ROWS.index < 9)))  # r02, r05, r08
    found = taken(sampler, 7 if sampler == "qocs" else 25, "rating", few)
    of_best = found[found["cluster"] == 2]
    assert set(of_best["id"][:3]) == {"r02", "r05", "r08"}
    assert of_best["id"].iloc[3] == "r29"  # of the others the nearest
    told = {"qocs": "not rated, after its rated rows", "qwcs": "none of its rated rows was left"}[sampler]
    assert of_best["reason"].str.contains(told).tolist() == [False] * 3 + [True] * (len(of_best) - 3)


@pytest.mark.parametrize("sampler", ["qocs", "qwcs"])
def test_without_ratings_nothing_is_taken_by_them(sampler: Sampler) -> None:
    for table in (ROWS.assign(rating=np.nan), ROWS.drop(columns="rating")):
        with pytest.raises(
            ShedError, match="the rows of a cluster are to be taken by their ratings, but none was rated"
        ) as error:
            select(table, SCORES, sampler, Size(4), 1.0, 1, None, "rating")
        assert error.value.setting == "within"
