"""The ways to select rows that are compared: signals of single rows, and samplers, also with floors, or on other scores.

In: clusters with ratings, scores, signals (a column for each single-row method). Out: the selected rows' ids.

A method's name is a signal or a sampler and then, each where it is wanted: what scores are of (`_on_…`), which rows of a
cluster are taken (`_within_…`), and what has a floor (`_by_…`), as in `qocs_on_shapley_within_rating_by_source`.
"""

from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
import pandas as pd

from shed.common.errors import ShedError
from shed.selection.cluster_scores import mean_ratings, ranked
from shed.selection.orders.by_clusters import Within
from shed.selection.orders.floors import Floor
from shed.selection.sampling import Sampler, Size, select

ON_RANDOM_SCORES = "_on_random_scores"  # a control: what clusters do without scores
ON_SHAPLEY = "_on_shapley"  # the proxies' Shapley scores, as in the paper, and not the clusters' mean ratings
ON_ALL_TASKS = "_on_all_tasks"  # ratings by a dev set of all tasks that are tested, not of one, and scores by them
ON = (ON_RANDOM_SCORES, ON_SHAPLEY, ON_ALL_TASKS)
WITHIN: dict[str, Within] = {f"_within_{within}": within for within in get_args(Within)}
BY_SOURCE = "_by_source"  # with a floor for each source
BY_LENGTH = "_by_length"  # an equal part of all rows for each quarter of the pool by response tokens
BY_SOURCE_AND_LENGTH = "_by_source_and_length"  # and for each such quarter of each source
BY = (BY_SOURCE_AND_LENGTH, BY_SOURCE, BY_LENGTH)
BY_CLUSTERS: tuple[Sampler, ...] = ("qocs", "qwcs")


@dataclass(frozen=True)
class Method:
    """A method by the parts of its name; a part that it lacks is empty."""

    takes: str
    on: str
    within: str
    by: str

    def floor(self, of_sources: float) -> Floor | None:
        """What its last part asks for.

        Args:
            of_sources: the share of the rows that is kept for the sources where these have a floor; lengths share out all.
        """
        if self.by == BY_SOURCE:
            return Floor("source", of_sources)
        if self.by == BY_LENGTH:
            return Floor("length", 1.0)
        return Floor("source_and_length", 1.0) if self.by else None


def method_of(name: str) -> Method:
    """The parts of a method's name."""
    rest, parts = name, list[str]()
    for endings in (BY, WITHIN, ON):
        parts.append(next((end for end in endings if rest.endswith(end)), ""))
        rest = rest.removesuffix(parts[-1])
    by, within, on = parts
    return Method(rest, on, within, by)


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
            scores change places at random), `_on_shapley`, and `_on_all_tasks`, and if it is qocs or qwcs with one of
            `_within_random`, `_within_nearest` and `_within_rating`. At its end `_by_source` if the share `floor` of the rows
            is kept for the sources evenly, or `_by_length` or `_by_source_and_length` if all rows are shared out evenly to the
            quarters of the pool, or of each source, by response tokens.
        clusters, scores, f: as for `shed.selection.sampling.select`; clusters have `response_tokens` for a floor by length,
            and scores also have `shapley`.
        of_all_tasks: (N,) ratings for `_on_all_tasks`, in the order of `clusters`.
        signals: `id` and a column for each signal, higher is better, a row for each pool record.
        seed: of every draw; a signal draws nothing.

    Raises:
        ShedError: there is no such method.
    """
    own, known = method_of(method), signals.columns.drop("id")
    if own.takes in known and not own.on and not own.within:
        if own.by:
            values = signals.set_index("id")[own.takes].reindex(clusters["id"]).to_numpy()
            return select(clusters.assign(rating=values), scores, "top", Size(rows), f, seed, own.floor(floor))["id"].tolist()
        best = np.argsort(-signals[own.takes].to_numpy(), kind="stable")[:rows]
        return signals["id"].iloc[best].tolist()
    if not _is_sampler(own):
        raise ShedError(
            f"method {method!r} is unknown; take one of {', '.join([*known, *get_args(Sampler)])}, with {', '.join(BY[::-1])}, "
            f"or a sampler with {ON_RANDOM_SCORES}, {ON_SHAPLEY} (of qocs and qwcs) or {ON_ALL_TASKS}, and qocs and qwcs with "
            f"{', '.join(WITHIN)}"
        )
    if own.on == ON_ALL_TASKS:
        clusters = clusters.assign(rating=of_all_tasks.to_numpy())
        score, _ = mean_ratings(clusters)
        scores = ranked(pd.DataFrame({"cluster": np.unique(clusters["cluster"]), "score": score}))
    if own.on == ON_SHAPLEY:
        spread = scores["score"].std() / scores["shapley"].std()  # f is made for the scale of scores
        scores = ranked(scores.assign(score=scores["shapley"] * spread)[["cluster", "score"]])
    if own.on == ON_RANDOM_SCORES:
        order = np.random.default_rng([seed, 7]).permutation(len(scores))
        scores = scores.assign(**{column: scores[column].to_numpy()[order] for column in ("score", "rank")})
    sampler, within = cast(Sampler, own.takes), WITHIN.get(own.within)
    return select(clusters, scores, sampler, Size(rows), f, seed, own.floor(floor), within)["id"].tolist()


def _is_sampler(own: Method) -> bool:
    """True for a sampler, where all that is asked of it means something to it."""
    if own.takes not in get_args(Sampler):
        return False
    if own.takes in BY_CLUSTERS:
        return True
    return not own.within and not (own.takes == "top" and own.on in (ON_RANDOM_SCORES, ON_SHAPLEY))
