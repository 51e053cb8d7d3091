"""Five samplers over the same ratings and scores."""

import numpy as np
import pandas as pd
import pytest

from shed.common.errors import ShedError
from shed.selection.orders.floors import Floor
from shed.selection.sampling import Sampler, Size, budget, composition, nearest_count, select


@pytest.fixture
def clusters() -> pd.DataFrame:
    """Three clusters of 10, 4 and 6 rows."""
    labels = np.repeat([0, 1, 2], [10, 4, 6])
    return pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(20)],
            "source": np.where(labels == 0, "web", "books"),
            "cluster": labels,
            "distance": np.linspace(1, 0, 20),
            "rating": [(7 * i) % 20 / 100 for i in range(20)],
        }
    )


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.DataFrame({"cluster": [2, 0, 1], "score": [0.5, 0.1, -0.3], "rank": [1, 2, 3]})


def picked(
    clusters: pd.DataFrame, scores: pd.DataFrame, sampler: Sampler, rows: int, f: float = 1.0, seed: int = 0
) -> pd.DataFrame:
    return select(clusters, scores, sampler, Size(rows), f, seed)


def test_qocs_takes_the_best_cluster_whole_and_of_the_next_the_rows_nearest_its_centre(
    clusters: pd.DataFrame, scores: pd.DataFrame
) -> None:
    selection = picked(clusters, scores, "qocs", 8)
    assert set(selection["id"][:6]) == {f"r{i}" for i in range(14, 20)}
    assert selection["id"][6:].tolist() == ["r9", "r8"]
    assert selection["reason"].iloc[0] == "cluster ranked 1, taken whole"
    assert selection["reason"].iloc[7] == "cluster ranked 2, among its 2 rows nearest the centre"
    assert selection.columns.tolist() == ["id", "source", "cluster", "score", "reason"]


def test_top_takes_the_rows_with_the_highest_ratings_whatever_their_cluster(
    clusters: pd.DataFrame, scores: pd.DataFrame
) -> None:
    selection = picked(clusters, scores, "top", 4)
    assert selection["id"].tolist() == ["r17", "r14", "r11", "r8"]
    assert selection["cluster"].nunique() == 3
    assert selection["reason"].iloc[1] == "rated 2 of 20, 0.18"
    floored = select(clusters, scores, "top", Size(4), 1.0, 0, Floor("source", 1.0))
    assert floored["source"].value_counts().to_dict() == {"web": 2, "books": 2}


def test_qwcs_draws_clusters_in_proportion_to_exp_f_score(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    first = [picked(clusters, scores, "qwcs", 1, f=2.0, seed=seed)["cluster"].iloc[0] for seed in range(1500)]
    shares = np.bincount(first, minlength=3) / len(first)
    expected = np.exp(2.0 * np.array([0.1, -0.3, 0.5]))
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.04)


@pytest.mark.parametrize("f", [0.0, 1.0, 1e6])
def test_qwcs_goes_on_when_clusters_run_dry_and_never_takes_a_row_twice(
    clusters: pd.DataFrame, scores: pd.DataFrame, f: float
) -> None:
    selection = picked(clusters, scores, "qwcs", 20, f)
    assert sorted(selection["id"]) == sorted(clusters["id"])


def test_a_sharp_qwcs_is_qocs_in_clusters(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    assert set(picked(clusters, scores, "qwcs", 6, f=1e6)["cluster"]) == {2}


def test_random_and_full_do_not_look_at_scores(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    other = scores.assign(score=-scores["score"], rank=[3, 2, 1])
    assert picked(clusters, scores, "random", 5)["id"].tolist() == picked(clusters, other, "random", 5)["id"].tolist()
    assert picked(clusters, scores, "random", 5)["id"].is_unique
    assert picked(clusters, scores, "full", 5)["id"].tolist() == clusters["id"].tolist()


def test_a_budget_is_rows_or_a_share_and_never_more_than_the_pool() -> None:
    assert budget(2000, 0.1, None) == Size(200)
    assert budget(2000, None, 7) == Size(7)
    with pytest.raises(
        ShedError, match="21 rows are to be kept, but the pool has 20 that may be selected; keep fewer, or take the full pool"
    ) as error:
        budget(20, None, 21)
    assert error.value.setting == "rows"
    with pytest.raises(ShedError, match=r"a fraction of 0\.01 of 20 rows gives none; raise it") as error:
        budget(20, 0.01, None)
    assert error.value.setting == "fraction"


@pytest.mark.parametrize("sampler", ["top", "qocs", "qwcs", "random"])
def test_a_floor_keeps_the_best_rows_of_every_source_and_the_sampler_takes_the_rest(
    clusters: pd.DataFrame, scores: pd.DataFrame, sampler: Sampler
) -> None:
    few = clusters.assign(source=["rare"] * 2 + ["web"] * 8 + ["books"] * 10)  # `rare` is of the second cluster, far out
    free = select(few, scores, sampler, Size(9), 1e6, 0)
    assert "rare" not in set(free["source"]) or sampler != "qocs"
    floored = select(few, scores, sampler, Size(9), 1e6, 0, Floor("source", 0.7))
    kept = floored[floored["reason"].str.contains("floor")]
    assert kept["source"].value_counts().to_dict() == {"rare": 2, "web": 2, "books": 2}
    assert len(floored) == 9
    assert floored["id"].is_unique
    rest = floored[~floored["reason"].str.contains("floor")]["id"].tolist()
    assert rest == [id for id in select(few, scores, sampler, Size(20), 1e6, 0)["id"] if id not in set(kept["id"])][:3]


def test_a_group_smaller_than_its_part_of_the_floor_gives_all_its_rows(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    floored = select(clusters, scores, "qocs", Size(18), 1.0, 0, Floor("cluster", 1.0))
    assert floored["cluster"].value_counts().to_dict() == {0: 8, 2: 6, 1: 4}


def test_a_budget_of_tokens_takes_rows_in_the_same_order_until_their_tokens_are_nearest_to_it(
    clusters: pd.DataFrame, scores: pd.DataFrame
) -> None:
    long = clusters.assign(response_tokens=[5 * (i % 4) + 1 for i in range(20)])
    for sampler in ("top", "qocs", "qwcs", "random"):
        order = select(long, scores, sampler, Size(20), 1.0, 3)["id"]
        sums = order.map(long.set_index("id")["response_tokens"]).cumsum()
        for tokens in (1, 40, 97):
            taken = select(long, scores, sampler, Size(tokens, "tokens"), 1.0, 3)["id"]
            assert taken.tolist() == order[: len(taken)].tolist()
            assert abs(sums[len(taken) - 1] - tokens) == (sums - tokens).abs().min()
    assert len(select(long, scores, "full", Size(40, "tokens"), 1.0, 3)) == 20


def test_a_floor_in_tokens_gives_each_source_rows_that_fit_its_part(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    long = clusters.assign(response_tokens=[30 if source == "web" else 2 for source in clusters["source"]])
    floored = select(long, scores, "top", Size(100, "tokens"), 1.0, 0, Floor("source", 0.8))
    kept = floored[floored["reason"].str.contains("floor")]
    assert kept["source"].value_counts().to_dict() == {"books": 10, "web": 1}  # all 10 of books have 20 of its 40 tokens
    assert len(floored) == 13  # 50 of 100 tokens by the floor, and two of the web more, since 110 is nearer than 80
    best = long.loc[long["source"] == "web", "rating"].idxmax()
    longer = long.assign(response_tokens=[70 if row == best else n for row, n in long["response_tokens"].items()])
    first = select(longer, scores, "top", Size(100, "tokens"), 1.0, 0, Floor("source", 0.8))
    kept = first[first["reason"].str.contains("floor") & (first["source"] == "web")]
    assert len(kept) == 1  # the best has more tokens than the part of its source, and the next is taken
    assert long["id"][best] not in set(kept["id"])
    assert floored["reason"].iloc[0] in (
        "one of 1 that the floor keeps of source web",
        "one of 10 that the floor keeps of source books",
    )
    with pytest.raises(ShedError, match=r"a floor of 0\.5 of 100 response tokens is less than one row for each of 2 sources"):
        select(long, scores, "top", Size(100, "tokens"), 1.0, 0, Floor("source", 0.5))


@pytest.mark.parametrize(
    ("costs", "amount", "count"),
    [([3, 3, 3], 1, 1), ([3, 3, 3], 4, 1), ([3, 3, 3], 4.5, 2), ([3, 3, 3], 6, 2), ([3, 3], 60, 2), ([], 5, 0)],
)
def test_rows_are_as_many_as_come_nearest_to_an_amount(costs: list[int], amount: float, count: int) -> None:
    assert nearest_count(np.array(costs, dtype=int), amount) == count


def test_what_a_floor_has_left_over_buys_no_row_that_is_far_too_long(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    long = clusters.assign(response_tokens=[49] * 10 + [500] * 4 + [49] * 6, source=["web"] * 10 + ["rare"] * 4 + ["books"] * 6)
    two = long[long["source"] != "rare"].reset_index(drop=True)
    kept = select(two, scores, "top", Size(100, "tokens"), 1.0, 0, Floor("source", 1.0))
    assert len(kept) == 2  # 98 of 100 tokens


def test_a_budget_in_tokens_is_named_so() -> None:
    assert budget(5000, 0.1, None, "tokens") == Size(500, "tokens")
    with pytest.raises(ShedError, match="6,000 response tokens are to be kept, but the pool has 5,000") as error:
        budget(5000, None, 6000, "tokens")
    assert error.value.setting == "tokens"


def test_a_floor_of_less_than_a_row_for_each_group_is_an_error(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    with pytest.raises(ShedError, match=r"a floor of 0\.1 of 8 rows is less than one row for each of 3 clusters") as error:
        select(clusters, scores, "qocs", Size(8), 1.0, 0, Floor("cluster", 0.1))
    assert error.value.setting == "floor"


def test_reasons_count_the_floors_rows_too(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    floored = select(clusters, scores, "qocs", Size(10), 1.0, 0, Floor("cluster", 0.7)).set_index("id")["reason"]
    assert floored["r14"] == "cluster ranked 1, taken whole; from the rest of the budget"
    assert floored["r19"] == "one of 2 that the floor keeps of cluster 2"
    assert floored.iloc[:6].str.contains("floor").all()
    assert (
        select(clusters, scores, "random", Size(9), 1.0, 0, Floor("cluster", 0.7))["reason"].iloc[-1]
        == "one of 3 random rows; from the rest of the budget"
    )


def test_composition_counts_what_is_left_out_too(clusters: pd.DataFrame, scores: pd.DataFrame) -> None:
    assert composition(picked(clusters, scores, "qocs", 6), clusters) == {
        "rows": 6,
        "clusters": 1,
        "score_mean": pytest.approx(0.5),
        "share_books": 1.0,
        "share_web": 0.0,
    }


def drawn_one_by_one(pool: pd.DataFrame, scores: pd.DataFrame, rows: int, f: float, seed: int) -> list[str]:
    """SHED's equation 5 as it is written: each draw looks at all clusters anew."""
    rng = np.random.default_rng(seed)
    by_cluster = scores.set_index("cluster").sort_index()
    weights = np.exp(f * (by_cluster["score"] - by_cluster["score"].max())).to_numpy()
    left = [list(rng.permutation(np.flatnonzero(pool["cluster"] == cluster))) for cluster in by_cluster.index]
    drawn = []
    for _ in range(rows):
        there = weights * [bool(members) for members in left]
        drawn.append(left[int(rng.choice(len(left), p=there / there.sum()))].pop())
    return pool["id"].iloc[drawn].tolist()


@pytest.mark.parametrize("f", [0.0, 2.0])
def test_qwcs_draws_the_rows_that_one_draw_after_the_other_gives(f: float) -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        clusters = np.concatenate([np.arange(9), rng.integers(0, 9, 91)])
        pool = pd.DataFrame({"id": [f"r{n}" for n in range(100)], "source": "s", "cluster": clusters, "distance": 0.5})
        scores = pd.DataFrame({"rank": np.arange(1, 10), "cluster": rng.permutation(9), "score": np.linspace(1, -1, 9)})
        found = select(pool, scores, "qwcs", Size(70), f, seed)
        assert found["id"].tolist() == drawn_one_by_one(pool, scores, 70, f, seed)
