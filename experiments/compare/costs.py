"""What it costs to select by each method: fine-tune equivalents, and seconds on the machine that measured them.

In: names of methods, and the measured costs of signals, ratings and scores. Out: a row for each method.
"""

from collections.abc import Iterable
from math import nan

import pandas as pd

from shed.common.atomic_io import read_json
from shed.selection.contenders import ON_ALL_TASKS, ON_RANDOM_SCORES, ON_SHAPLEY, WITHIN, Method, method_of
from stages.shared.took import seconds_kept

NOTHING = {"fte": 0.0, "seconds": 0.0}


def costs(methods: Iterable[str]) -> pd.DataFrame:
    """`method`, `fte` and `seconds`; embedding and clustering the pool are not counted.

    Seconds of a stage that did not run on this machine are NaN.
    """
    score, signals = read_json("metrics/score.json"), read_json("experiments/compare/signals.json")
    all_tasks, took = read_json("experiments/compare/ratings_of_all_tasks.json"), seconds_kept()
    shapley = {"fte": score["fte"], "seconds": took.get("score", nan)}
    ratings, of_all_tasks = NOTHING, NOTHING
    if "ratings_fte" in score:
        ratings = {"fte": score["ratings_fte"], "seconds": took.get("rate", nan)}
        if all_tasks.get("token_passes"):
            passes = all_tasks["token_passes"] / read_json("metrics/rate.json")["token_passes"]
            of_all_tasks = {"fte": score["ratings_fte"] * passes, "seconds": all_tasks["seconds"]}
    of_clusters = ratings if score["score_is"] == "mean rating" else shapley

    def of_scores(own: Method) -> dict[str, float]:
        if own.takes in signals:
            of_signal: dict[str, float] = signals[own.takes]
            return of_signal
        if own.on == ON_ALL_TASKS:
            return of_all_tasks
        if own.on == ON_SHAPLEY:
            return shapley
        if own.takes in ("random", "full") or own.on == ON_RANDOM_SCORES:
            return NOTHING
        return ratings if own.takes == "top" else of_clusters

    def cost(method: str) -> dict[str, float]:
        own = method_of(method)
        found = of_scores(own)
        if WITHIN.get(own.within) == "rating" and found not in (ratings, of_all_tasks):
            return {what: found[what] + ratings[what] for what in found}
        return found

    return pd.DataFrame([{"method": method, **cost(method)} for method in dict.fromkeys(methods)])
