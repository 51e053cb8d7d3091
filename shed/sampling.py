"""Which rows to tune on, by their clusters' scores.

In: a row for each pool record with its cluster and distance, a score for each cluster, a budget. Out: the selected rows with
the reason for each.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from shed.errors import ShedError
from shed.records import Record

Sampler = Literal["qocs", "qwcs", "random", "full"]


def budget(pool_rows: int, fraction: float | None, rows: int | None) -> int:
    """How many rows to keep.

    Raises:
        ShedError: more rows than the pool has, or a fraction that comes to none.
    """
    wanted = rows if rows is not None else round(pool_rows * (fraction or 0.0))
    if wanted > pool_rows:
        raise ShedError(f"sample.rows is {wanted}, but the pool has {pool_rows} rows; lower it, or use sampler: full")
    if wanted < 1:
        raise ShedError(f"sample.fraction is {fraction}, which of {pool_rows} rows is none; raise it")
    return wanted


def select(clusters: pd.DataFrame, scores: pd.DataFrame, sampler: Sampler, rows: int, f: float, seed: int) -> pd.DataFrame:
    """Select `rows` rows of the pool.

    Args:
        clusters: `id`, `source`, `cluster`, `distance`, a row for each pool record.
        scores: `cluster`, `score`, `rank`, a row for each cluster.
        sampler: `qocs` takes whole clusters from the best score down (SHED, equation 4), and of the last one the rows nearest
            its centre; `qwcs` draws a cluster for each row with probability ∝ exp(f · score) among those that still have rows,
            and one of its rows (SHED, equation 5); `random` draws rows; `full` takes all, whatever `rows` is.
        f: how sharply qwcs prefers good clusters; 0 makes all equal.

    Returns:
        `id`, `source`, `cluster`, `score`, `reason`, in the order of selection.
    """
    pool = clusters.merge(scores[["cluster", "score", "rank"]], on="cluster", how="left", validate="many_to_one")
    rng = np.random.default_rng(seed)
    if sampler == "full":
        chosen, reasons = np.arange(len(pool)), ["the whole pool"] * len(pool)
    elif sampler == "random":
        chosen, reasons = rng.permutation(len(pool))[:rows], [f"one of {rows} random rows"] * rows
    elif sampler == "qocs":
        chosen = np.lexsort((pool["distance"], pool["rank"]))[:rows]
        reasons = _qocs_reasons(pool, chosen)
    else:
        chosen, reasons = _qwcs(pool, scores, rows, f, rng)
    selection = pool.iloc[chosen][["id", "source", "cluster", "score"]].reset_index(drop=True)
    return selection.assign(reason=reasons)


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


def _qocs_reasons(pool: pd.DataFrame, chosen: np.ndarray) -> list[str]:
    sizes = pool["cluster"].value_counts()
    taken = pool.iloc[chosen]["cluster"].value_counts()
    return [
        f"cluster ranked {rank}, taken whole"
        if taken[cluster] == sizes[cluster]
        else f"cluster ranked {rank}, among its {taken[cluster]} rows nearest the centre"
        for cluster, rank in zip(pool.iloc[chosen]["cluster"], pool.iloc[chosen]["rank"], strict=True)
    ]


def _qwcs(
    pool: pd.DataFrame, scores: pd.DataFrame, rows: int, f: float, rng: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """Draw without replacement: each draw leaves fewer rows, and a cluster without rows is drawn no more."""
    by_cluster = scores.set_index("cluster").sort_index()
    weights = np.exp(f * (by_cluster["score"] - by_cluster["score"].max())).to_numpy()
    left = [list(rng.permutation(np.flatnonzero(pool["cluster"] == cluster))) for cluster in by_cluster.index]
    chosen, reasons = [], []
    for _ in range(rows):
        open_weights = np.where([bool(members) for members in left], np.maximum(weights, np.finfo(float).tiny), 0.0)
        probabilities = open_weights / open_weights.sum()
        drawn = int(rng.choice(len(left), p=probabilities))
        chosen.append(left[drawn].pop())
        reasons.append(f"cluster ranked {by_cluster['rank'].iloc[drawn]}, drawn with probability {probabilities[drawn]:.3g}")
    return np.array(chosen), reasons
