"""Which rows to tune on, by their own ratings or their clusters' scores.

In: a row for each pool record with its cluster, distance and rating, a score for each cluster, a budget. Out: the selected rows
with the reason for each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never, get_args

import numpy as np
import pandas as pd

from shed.common.errors import ShedError
from shed.data.records import Record

Sampler = Literal["top", "qocs", "qwcs", "random", "full"]


@dataclass(frozen=True)
class Floor:
    """A part of the budget that is shared out evenly, so that no group is left out.

    Attributes:
        by: what groups are, `source` or `cluster`.
        share: of the budget; each group has an equal part of it for its own best rows, as far as it has rows.
    """

    by: Literal["source", "cluster"]
    share: float


def budget(pool_rows: int, fraction: float | None, rows: int | None) -> int:
    """How many rows to keep.

    Raises:
        ShedError: more rows than the pool has, or a fraction that comes to none.
    """
    wanted = rows if rows is not None else round(pool_rows * (fraction or 0.0))
    if wanted > pool_rows:
        raise ShedError(
            f"{wanted} rows are to be kept, but the pool has {pool_rows}; keep fewer, or take the full pool", "rows"
        )
    if wanted < 1:
        raise ShedError(f"a fraction of {fraction} of {pool_rows} rows gives no row; raise it", "fraction")
    return wanted


def select(
    clusters: pd.DataFrame,
    scores: pd.DataFrame,
    sampler: Sampler,
    rows: int,
    f: float,
    seed: int,
    floor: Floor | None = None,
) -> pd.DataFrame:
    """Select `rows` rows of the pool.

    Args:
        clusters: `id`, `source`, `cluster`, `distance`, a row for each pool record, and for `top` its `rating`.
        scores: `cluster`, `score`, `rank`, a row for each cluster.
        sampler: `top` takes the rows with the highest ratings; `qocs` takes whole clusters from the best score down (SHED,
            equation 4), and of the last one the rows nearest its centre; `qwcs` draws a cluster for each row with probability
            ∝ exp(f · score) among those that still have rows, and one of its rows (SHED, equation 5); `random` draws rows;
            `full` takes all, whatever `rows` is.
        f: how sharply qwcs prefers good clusters; 0 makes all equal.
        floor: rows that each source or cluster has for itself before the sampler takes the rest, in its order.

    Returns:
        `id`, `source`, `cluster`, `score`, `reason`, in the order of selection.
    """
    pool = clusters.merge(scores[["cluster", "score", "rank"]], on="cluster", how="left", validate="many_to_one")
    rng = np.random.default_rng(seed)
    drawn: dict[int, str] = {}
    if sampler == "full":
        order, rows = np.arange(len(pool)), len(pool)
    elif sampler == "random":
        order = rng.permutation(len(pool))
    elif sampler == "top":
        order = np.argsort(-pool["rating"].to_numpy(), kind="stable")
    elif sampler == "qocs":
        order = np.lexsort((pool["distance"], pool["rank"]))
    elif sampler == "qwcs":
        drawn = _qwcs(pool, scores, rows if floor is None else len(pool), f, rng)
        order = np.array(list(drawn))
    else:
        assert_never(sampler)
    kept = {} if floor is None or sampler == "full" else _kept_by_floor(pool, order, rows, floor)
    rest = [int(place) for place in order if place not in kept][: rows - len(kept)]
    why = drawn if sampler == "qwcs" else _reasons(pool, sampler, rest, [*kept, *rest])
    reasons = kept | {place: why[place] for place in rest}
    selection = pool.iloc[list(reasons)][["id", "source", "cluster", "score"]].reset_index(drop=True)
    return selection.assign(reason=list(reasons.values()))


def usable(clusters: pd.DataFrame) -> list[Sampler]:
    """The samplers that select a part of these rows; `top` is one if they are rated."""
    return [one for one in get_args(Sampler) if one != "full" and (one != "top" or clusters["rating"].notna().all())]


def with_text(selection: pd.DataFrame, pool: Sequence[Record]) -> list[dict[str, Any]]:
    """The selected records whole, with where they came from, their cluster, its score and the reason, in order."""
    by_id = {record.id: record for record in pool}
    columns = zip(selection["id"], selection["cluster"], selection["score"], selection["reason"], strict=True)
    return [
        {**by_id[id].to_row(), "cluster": int(cluster), "score": float(score), "reason": reason}
        for id, cluster, score, reason in columns
    ]


def composition(selection: pd.DataFrame, clusters: pd.DataFrame) -> dict[str, float | int]:
    """Rows, clusters touched, and each source's share of the selection."""
    shares = selection["source"].value_counts(normalize=True)
    return {
        "rows": len(selection),
        "clusters": int(selection["cluster"].nunique()),
        "score_mean": float(selection["score"].mean()),
        **{f"share_{source}": float(shares.get(source, 0.0)) for source in sorted(clusters["source"].unique())},
    }


def _kept_by_floor(pool: pd.DataFrame, order: np.ndarray, rows: int, floor: Floor) -> dict[int, str]:
    """The floor's rows, the first of each group in the sampler's order, with the reason.

    Raises:
        ShedError: the floor is less than a row for each group.
    """
    groups = pool[floor.by]
    each = math.floor(round(rows * floor.share / groups.nunique(), 9))
    if each < 1:
        raise ShedError(
            f"a floor of {floor.share:g} of {rows} rows is less than one for each of {groups.nunique()} {floor.by}s; "
            "raise the floor or the number of rows, or set the balance to none",
            "floor",
        )
    place_in_group = groups.iloc[order].groupby(groups.iloc[order], sort=False).cumcount().to_numpy()
    return {
        int(place): f"one of {each} that the floor keeps of {floor.by} {groups.iloc[place]}"
        for place in order[place_in_group < each]
    }


def _reasons(pool: pd.DataFrame, sampler: Sampler, rest: list[int], chosen: list[int]) -> dict[int, str]:
    """Why the rows that no floor kept were taken; `chosen` are all."""
    if sampler in ("full", "random"):
        return dict.fromkeys(rest, "the whole pool" if sampler == "full" else f"one of {len(rest)} random rows")
    if sampler == "top":
        place = pool["rating"].rank(ascending=False, method="first").astype(int)
        return {row: f"rated {place.iloc[row]} of {len(pool)}, {pool['rating'].iloc[row]:.3g}" for row in rest}
    sizes = pool["cluster"].value_counts()
    taken = pool.iloc[chosen]["cluster"].value_counts()
    return {
        place: f"cluster ranked {rank}, taken whole"
        if taken[cluster] == sizes[cluster]
        else f"cluster ranked {rank}, among its {taken[cluster]} rows nearest the centre"
        for place, cluster, rank in zip(rest, pool.iloc[rest]["cluster"], pool.iloc[rest]["rank"], strict=True)
    }


def _qwcs(pool: pd.DataFrame, scores: pd.DataFrame, rows: int, f: float, rng: np.random.Generator) -> dict[int, str]:
    """Draw without replacement: each draw leaves fewer rows, and a cluster without rows is drawn no more.

    Returns:
        The place of each row in the pool, in the order of the draws, and why.
    """
    by_cluster = scores.set_index("cluster").sort_index()
    weights = np.exp(f * (by_cluster["score"] - by_cluster["score"].max())).to_numpy()
    left = [list(rng.permutation(np.flatnonzero(pool["cluster"] == cluster))) for cluster in by_cluster.index]
    drawn_rows = {}
    for _ in range(rows):
        open_weights = np.where([bool(members) for members in left], np.maximum(weights, np.finfo(float).tiny), 0.0)
        probabilities = open_weights / open_weights.sum()
        drawn = int(rng.choice(len(left), p=probabilities))
        reason = f"cluster ranked {by_cluster['rank'].iloc[drawn]}, drawn with probability {probabilities[drawn]:.3g}"
        drawn_rows[int(left[drawn].pop())] = reason
    return drawn_rows
