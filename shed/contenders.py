"""The ways to select rows that are compared: signals of single rows, and samplers, also with floors or on random scores.

In: clusters, scores, signals (a column for each way that needs no tuning). Out: the selected rows' ids.
"""

from typing import cast, get_args

import numpy as np
import pandas as pd

from shed.errors import ShedError
from shed.sampling import Floor, Sampler, select

ON_RANDOM_SCORES = "_on_random_scores"  # which tells what clusters alone do from what scores do
ON_ALL_TASKS = "_on_all_tasks"  # scores by a dev set of all tasks that are tested, not of one
BY_SOURCE = "_by_source"  # with a floor for each source


def contend(
    method: str,
    clusters: pd.DataFrame,
    scores: pd.DataFrame,
    scores_of_all_tasks: pd.DataFrame,
    signals: pd.DataFrame,
    rows: int,
    f: float,
    seed: int,
    floor: float,
) -> list[str]:
    """Ids of the `rows` rows that a method selects, best first.

    Args:
        method: a column of `signals`, whose best rows are taken; a sampler; or a sampler with one of `_on_random_scores`, for
            which the clusters' scores change places at random, and `_on_all_tasks`, which takes `scores_of_all_tasks`, or
            with `_by_source` at its end, which keeps the share `floor` of the rows for the sources evenly.
        clusters, scores, f: as for `shed.sampling.select`.
        signals: `id` and a column for each signal, higher is better, a row for each pool record.
        seed: of every draw; a signal draws nothing.

    Raises:
        ShedError: there is no such method.
    """
    scored = method.removesuffix(BY_SOURCE)
    sampler = scored.removesuffix(ON_RANDOM_SCORES).removesuffix(ON_ALL_TASKS)
    if method in signals.columns.drop("id"):
        best = np.argsort(-signals[method].to_numpy(), kind="stable")[:rows]
        return signals["id"].iloc[best].tolist()
    if sampler not in get_args(Sampler):
        known = [*signals.columns.drop("id"), *get_args(Sampler)]
        raise ShedError(
            f"method {method!r} is unknown; take one of {', '.join(known)}, or a sampler with "
            f"{ON_RANDOM_SCORES}, {ON_ALL_TASKS} or {BY_SOURCE}"
        )
    if scored.endswith(ON_ALL_TASKS):
        scores = scores_of_all_tasks
    if scored.endswith(ON_RANDOM_SCORES):
        order = np.random.default_rng([seed, 7]).permutation(len(scores))
        scores = scores.assign(**{column: scores[column].to_numpy()[order] for column in ("score", "rank")})
    kept = Floor("source", floor) if method.endswith(BY_SOURCE) else None
    return select(clusters, scores, cast(Sampler, sampler), rows, f, seed, kept)["id"].tolist()
