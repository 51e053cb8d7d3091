"""Which rows to tune on, by their own ratings or their clusters' scores.

In: a row for each candidate with its cluster, distance and rating, a score for each cluster, a budget of rows or of response
tokens. Out: the selected rows with the reason for each.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, assert_never, get_args

import numpy as np
import pandas as pd

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.selection.orders.by_clusters import Within, qocs, qocs_reason, qwcs
from shed.selection.orders.floors import Floor, kept_by_floor

Sampler = Literal["top", "qocs", "qwcs", "random", "full"]
Unit = Literal["rows", "tokens"]
COUNTED: dict[Unit, str] = {"rows": "rows", "tokens": "response tokens"}


@dataclass(frozen=True)
class Size:
    """How much is selected: so many rows, or rows with about so many response tokens."""

    amount: int
    unit: Unit = "rows"

    def costs(self, candidates: pd.DataFrame) -> np.ndarray:
        """(N,) int64, what each row adds to it: 1, or its `response_tokens`."""
        rows = len(candidates)
        return np.ones(rows, dtype=int) if self.unit == "rows" else candidates["response_tokens"].to_numpy(dtype=int)


def budget(there: int, fraction: float | None, amount: int | None, unit: Unit = "rows") -> Size:
    """How much to keep.

    Args:
        there: how many rows or response tokens the candidates have.

    Raises:
        ShedError: more is asked for than is there, or a fraction comes to nothing.
    """
    wanted, what = amount if amount is not None else round(there * (fraction or 0.0)), COUNTED[unit]
    if wanted > there:
        raise ShedError(
            f"{wanted:,} {what} are to be kept, but the pool has {there:,} that may be selected; keep fewer, or take the full "
            "pool",
            unit,
        )
    if wanted < 1:
        raise ShedError(f"a fraction of {fraction} of {there:,} {what} gives none; raise it", "fraction")
    return Size(wanted, unit)


def nearest_count(costs: np.ndarray, amount: float, least: int = 1) -> int:
    """How many of the first rows have costs (N,) whose sum is nearest to the amount: of two as near, the more.

    Args:
        least: how many are taken at least, 0 or 1.
    """
    sums = costs.cumsum()
    first = int(np.searchsorted(sums, amount))  # whose sum reaches it
    if first == len(sums):
        return first
    before = sums[first - 1] if first else 0
    return first if first >= least and sums[first] - amount > amount - before else first + 1


def select(
    clusters: pd.DataFrame,
    scores: pd.DataFrame,
    sampler: Sampler,
    size: Size,
    f: float,
    seed: int,
    floor: Floor | None = None,
    within: Within | None = None,
) -> pd.DataFrame:
    """Select rows until their size is reached.

    A size in tokens is met as nearly as whole rows allow (`nearest_count`).

    Args:
        clusters: `id`, `source`, `cluster`, `distance`, a row for each candidate; for `top`, and rows of clusters by rating,
            its `rating` and perhaps `per`, what that is of; a row that was not rated has NaN and comes last; for a size in
            tokens or a floor by length its `response_tokens`.
        scores: `cluster`, `score`, `rank`, a row for each cluster.
        sampler: `top` takes the rows with the highest ratings; `qocs` takes whole clusters from the best score down (SHED,
            equation 4), and of the last one some rows; `qwcs` draws a cluster for each row with probability ∝ exp(f · score)
            among those that still have rows, and one of its rows (SHED, equation 5); `random` draws rows; `full` takes all,
            whatever the size is.
        f: how sharply qwcs prefers good clusters; 0 makes all equal.
        floor: rows that each group has for itself before the sampler takes the rest, in its order.
        within: which rows of a cluster `qocs` and `qwcs` take first: random ones, those nearest its centre, or those with the
            highest ratings. None: the nearest for `qocs`, random ones for `qwcs`.

    Raises:
        ShedError: the floor is less than a row for each group, or `top` would have to take rows that were not rated, or rows of
            clusters are to be taken by ratings and none was rated.

    Returns:
        `id`, `source`, `cluster`, `score`, `reason`, in the order of selection.
    """
    pool = clusters.merge(scores[["cluster", "score", "rank"]], on="cluster", how="left", validate="many_to_one")
    costs = size.costs(pool)
    rng = np.random.default_rng(seed)
    drawn: dict[int, str] = {}
    if sampler == "full":
        order, size = np.arange(len(pool)), Size(int(costs.sum()), size.unit)
    elif sampler == "random":
        order = rng.permutation(len(pool))
    elif sampler == "top":
        order = np.argsort(-pool["rating"].to_numpy(), kind="stable")
    elif sampler == "qocs":
        order = qocs(pool, within, rng)
    elif sampler == "qwcs":
        drawn = qwcs(pool, scores, size.amount if floor is None and size.unit == "rows" else len(pool), f, within, rng)
        order = np.array(list(drawn))
    else:
        assert_never(sampler)
    kept: dict[int, str] = {}
    if floor is not None and sampler != "full":
        kept = kept_by_floor(pool, order, costs, size.amount, COUNTED[size.unit], floor)
    others = [int(place) for place in order if place not in kept]
    left = size.amount - int(costs[list(kept)].sum())
    rest = others[: nearest_count(costs[others], left, least=0 if kept else 1)] if left > 0 else []
    why = drawn if sampler == "qwcs" else _reasons(pool, sampler, rest, [*kept, *rest], within)
    reasons = kept | {place: why[place] + ("; from the rest of the budget" if kept else "") for place in rest}
    if sampler == "top" and (without := int(pool["rating"].iloc[list(reasons)].isna().sum())):
        rated = int(pool["rating"].notna().sum())
        raise ShedError(
            f"{without:,} of {len(reasons):,} rows to take were not rated: {rated:,} of {len(pool):,} were; rate more of the "
            "pool, or take fewer rows",
            "screen",
        )
    selection = pool.iloc[list(reasons)][["id", "source", "cluster", "score"]].reset_index(drop=True)
    return selection.assign(reason=list(reasons.values()))


def usable(clusters: pd.DataFrame) -> list[Sampler]:
    """The samplers that select a part of these rows; `top` is one if they are rated."""
    return [one for one in get_args(Sampler) if one != "full" and (one != "top" or clusters["rating"].notna().all())]


def with_text(selection: pd.DataFrame, pool: Iterable[Record]) -> list[dict[str, Any]]:
    """The selected records whole, with where they came from, their cluster, its score and the reason, in order."""
    selected = set(selection["id"])
    by_id = {record.id: record for record in pool if record.id in selected}
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


def _reasons(pool: pd.DataFrame, sampler: Sampler, rest: list[int], chosen: list[int], within: Within | None) -> dict[int, str]:
    """Why the rows that no floor kept were taken; `chosen` are all."""
    if sampler in ("full", "random"):
        return dict.fromkeys(rest, "the whole pool" if sampler == "full" else f"one of {len(rest)} random rows")
    if sampler == "top":
        place = pool["rating"].rank(ascending=False, method="first", na_option="bottom").astype(int).to_numpy()[rest]
        rated = int(pool["rating"].notna().sum())
        unit = " a response token" if "per" in pool and (pool["per"] == "token").all() else ""
        ratings = pool["rating"].to_numpy()[rest]
        return {
            row: f"rated {rank} of {rated}, {rating:.3g}{unit}" for row, rank, rating in zip(rest, place, ratings, strict=True)
        }
    sizes = pool["cluster"].value_counts().to_dict()
    taken = pool.iloc[chosen]["cluster"].value_counts().to_dict()
    rated_rows = pool["rating"].notna().to_numpy() if within == "rating" else np.ones(len(pool), dtype=bool)
    return {
        place: qocs_reason(rank, taken[cluster], sizes[cluster], within, bool(rated_rows[place]))
        for place, cluster, rank in zip(rest, pool.iloc[rest]["cluster"], pool.iloc[rest]["rank"], strict=True)
    }
