"""Rows by their clusters' scores: whole clusters from the best score down (qocs), or clusters that are drawn (qwcs).

In: candidates with their clusters, distances and ratings, and the clusters' scores. Out: their order, and why each is taken.
"""

from typing import Literal, assert_never

import numpy as np
import pandas as pd

from shed.common.errors import ShedError

Within = Literal["random", "nearest", "rating"]


def preferred(pool: pd.DataFrame, within: Within, rng: np.random.Generator) -> np.ndarray:
    """(N,) places of rows such that of any cluster the first come first.

    Args:
        pool: `distance` and, for `rating`, `rating`; rows that were not rated come last, the nearest first.

    Raises:
        ShedError: rows are to be taken by ratings, and none was rated.
    """
    if within == "random":
        return rng.permutation(len(pool))
    if within == "nearest":
        return np.argsort(pool["distance"].to_numpy(), kind="stable")
    if within == "rating":
        if "rating" not in pool or pool["rating"].isna().all():
            raise ShedError(
                "the rows of a cluster are to be taken by their ratings, but none was rated; rate the pool, or take them at "
                "random or the nearest first",
                "within",
            )
        return np.lexsort((pool["distance"], -pool["rating"]))  # NaN is last
    assert_never(within)


def qocs(pool: pd.DataFrame, within: Within | None, rng: np.random.Generator) -> np.ndarray:
    """(N,) places of all rows, clusters in the order of their `rank`; within None: the nearest to the centre first.

    Raises:
        ShedError: as `preferred`.
    """
    places = preferred(pool, within or "nearest", rng)
    return places[np.argsort(pool["rank"].to_numpy()[places], kind="stable")]


def qocs_reason(rank: int, taken: int, size: int, within: Within | None, rated: bool) -> str:
    """Why a row is taken of a cluster of which so many of all its rows are."""
    if taken == size:
        return f"cluster ranked {rank}, taken whole"
    if within == "random":
        return f"cluster ranked {rank}, among {taken} random rows of it"
    if within == "rating":
        return f"cluster ranked {rank}, " + (
            f"among its {taken} first rows by rating" if rated else "not rated, after its rated rows"
        )
    return f"cluster ranked {rank}, among its {taken} rows nearest the centre"


def qwcs(
    pool: pd.DataFrame, scores: pd.DataFrame, rows: int, f: float, within: Within | None, rng: np.random.Generator
) -> dict[int, str]:
    """Draw without replacement: each draw leaves fewer rows, and a cluster without rows is drawn no more.

    The same clusters are drawn whichever of their rows are taken.

    Args:
        within: None: a random row of the cluster that was drawn.

    Raises:
        ShedError: as `preferred`.

    Returns:
        The place of each row in the pool, in the order of the draws, and why.
    """
    by_cluster = scores.set_index("cluster").sort_index()
    weights = np.exp(f * (by_cluster["score"] - by_cluster["score"].max())).to_numpy()
    weights = np.maximum(weights, np.finfo(float).tiny)
    ranks = by_cluster["rank"].tolist()
    places = pool.groupby("cluster").indices
    left = [rng.permutation(places.get(cluster, np.empty(0, dtype=int))).tolist() for cluster in by_cluster.index]
    if within is not None and within != "random":
        preference = np.empty(len(pool), dtype=int)
        preference[preferred(pool, within, rng)] = np.arange(len(pool))
        left = [sorted(members, key=lambda place: -preference[place]) for members in left]  # the last one is taken
    rated = pool["rating"].notna().to_numpy() if within == "rating" else np.ones(len(pool), dtype=bool)
    drawn_rows: dict[int, str] = {}
    while len(drawn_rows) < rows:  # probabilities stay as they are until a cluster is used up
        open_weights = np.where([bool(members) for members in left], weights, 0.0)
        probabilities = open_weights / open_weights.sum()
        up_to = probabilities.cumsum()
        up_to /= up_to[-1]
        why = [
            f"cluster ranked {rank}, drawn with probability {probability:.3g}"
            for rank, probability in zip(ranks, probabilities, strict=True)
        ]
        used_up = False
        while not used_up and len(drawn_rows) < rows:
            drawn = int(up_to.searchsorted(rng.random(), side="right"))
            place = left[drawn].pop()
            drawn_rows[place] = why[drawn] + _of_left(within, bool(rated[place]))
            used_up = not left[drawn]
    return drawn_rows


def _of_left(within: Within | None, rated: bool) -> str:
    """Which of the cluster's rows that were left was taken."""
    if within == "nearest":
        return "; of its rows that were left the nearest to the centre"
    if within == "rating":
        return "; of its rows that were left the best rated" if rated else "; none of its rated rows was left"
    return ""
