"""The ways to select rows that are compared: signals of single rows, and samplers, also with floors, or on other scores.

In: clusters with ratings, scores, signals (a column for each single-row method). Out: the selected rows' ids.
"""

from typing import cast, get_args

import numpy as np
import pandas as pd

from shed.common.errors import ShedError
from shed.selection.cluster_scores import mean_ratings, ranked
from shed.selection.sampling import Floor, Sampler, Size, select

ON_RANDOM_SCORES = "_on_random_scores"  # a control: what clusters do without scores
ON_SHAPLEY = "_on_shapley"  # the proxies' Shapley scores, as in the paper, and not the clusters' mean ratings
ON_ALL_TASKS = "_on_all_tasks"  # ratings by a dev set of all tasks that are tested, not of one, and scores by them
BY_SOURCE = "_by_source"  # with a floor for each source


def contend(
    method: str,
    clusters: pd.DataFrame,
    scores: pd.DataFrame,
    of_all_tasks: pd.Series,
    signals: pd.DataFrame,
    rows: int,
    f: float,
    seed: int,
    floor: float,
) -> list[str]:
    """Ids of the `rows` rows that a method selects, best first.

    Args:
        method: a column of `signals`, whose best rows are taken; or a sampler, with one of `_on_random_scores` (the clusters'
            scores change places at random), `_on_shapley`, and `_on_all_tasks`, and with `_by_source` at its end if the share
            `floor` of the rows is kept for the sources evenly.
        clusters, scores, f: as for `shed.selection.sampling.select`; scores also have `shapley`.
        of_all_tasks: (N,) ratings for `_on_all_tasks`, in the order of `clusters`.
        signals: `id` and a column for each signal, higher is better, a row for each pool record.
        seed: of every draw; a signal draws nothing.

    Raises:
        ShedError: there is no such method.
    """
    scored = method.removesuffix(BY_SOURCE)
    of = next((end for end in (ON_RANDOM_SCORES, ON_SHAPLEY, ON_ALL_TASKS) if scored.endswith(end)), "")
    sampler = scored.removesuffix(of)
    if method in signals.columns.drop("id"):
        best = np.argsort(-signals[method].to_numpy(), kind="stable")[:rows]
        return signals["id"].iloc[best].tolist()
    if sampler not in get_args(Sampler) or (sampler == "top" and of in (ON_RANDOM_SCORES, ON_SHAPLEY)):
        known = [*signals.columns.drop("id"), *get_args(Sampler)]
        raise ShedError(
            f"method {method!r} is unknown; take one of {', '.join(known)}, or a sampler with "
            f"{ON_RANDOM_SCORES}, {ON_SHAPLEY} (of qocs and qwcs), {ON_ALL_TASKS} or {BY_SOURCE}"
        )
    if of == ON_ALL_TASKS:
        clusters = clusters.assign(rating=of_all_tasks.to_numpy())
        score, _ = mean_ratings(clusters)
        scores = ranked(pd.DataFrame({"cluster": np.arange(len(score)), "score": score}))
    if of == ON_SHAPLEY:
        spread = scores["score"].std() / scores["shapley"].std()  # f is made for the scale of scores
        scores = ranked(scores.assign(score=scores["shapley"] * spread)[["cluster", "score"]])
    if of == ON_RANDOM_SCORES:
        order = np.random.default_rng([seed, 7]).permutation(len(scores))
        scores = scores.assign(**{column: scores[column].to_numpy()[order] for column in ("score", "rank")})
    kept = Floor("source", floor) if method.endswith(BY_SOURCE) else None
    return select(clusters, scores, cast(Sampler, sampler), Size(rows), f, seed, kept)["id"].tolist()
