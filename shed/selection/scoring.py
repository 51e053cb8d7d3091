"""Scores for clusters, from the game that their proxies play.

In: an open game and an estimator, and ratings of all records if there are. Out: a table with a score for each cluster, and
metrics.

A proxy says what it is worth itself; records of a cluster differ. With ratings a cluster's score is the mean over its records.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from shed.engine.utility import UNITS
from shed.models.encoding import cut_counts
from shed.selection.cluster_scores import mean_ratings, ranked
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimator, rank_correlation
from shed.valuation.fidelity import sign_certainty
from shed.valuation.proxy_game import ProxyGame


@dataclass(frozen=True)
class ClusterScores:
    """Scores of all clusters.

    Attributes:
        table: a row for each cluster, best first: `rank`, `cluster`, `score`, `stderr`, `sign_certainty` (the probability that
            the score's sign is right), `size`, `shapley`, `shapley_stderr` and `shapley_sign_certainty` (of the score of the
            game's player, the cluster's proxies), its score by either half of the rounds (null before there are two), `proxies`
            (their ids), `proxy_scores` (each proxy's part of it; null where the estimator knows clusters alone). Without
            ratings the score is the Shapley score; with them it is their mean over the cluster.
        convergence: the estimator's, a row for each round.
        metrics: cost and totals, flat.
    """

    table: pd.DataFrame
    convergence: pd.DataFrame
    metrics: dict[str, float | int | str | None]


def score_clusters(
    game: ProxyGame,
    estimator: Estimator,
    budget: Budget,
    on_divergence: Literal["stop", "skip"],
    clusters: pd.DataFrame,
) -> ClusterScores:
    """Estimate each cluster's Shapley score from its proxies' effect on dev utility.

    Args:
        game: open; its cost is that of all evaluations that the estimator uses, whenever they were made.
        budget, on_divergence: see `shed.valuation.budget.spend`.
        clusters: a row for each pool record with its `cluster`, and its `rating` if scores shall be by ratings.
    """
    outcome = spend(estimator, game.play, budget, on_divergence)
    estimate, cost = outcome.estimate, outcome.cost
    notes = list(estimate.notes)
    if outcome.diverged:
        notes.append(f"{outcome.diverged} of {cost.evaluations} tunings diverged and were left out; lower the learning rate")
    if estimate.v_all < estimate.v_none:
        notes.append(
            "tuning on all proxies made dev utility worse, so Shapley scores say what harms least; lower the learning rate"
        )
    sizes = np.bincount(clusters["cluster"])
    own = [np.flatnonzero(game.owner == cluster) for cluster in range(len(sizes))]
    records, proxies = estimate.records, np.bincount(game.owner, minlength=len(sizes))
    rated = "rating" in clusters
    score, stderr, dof = (*mean_ratings(clusters), sizes - 1) if rated else (estimate.scores, estimate.stderr, estimate.dof)
    table = pd.DataFrame(
        {
            "cluster": np.arange(len(sizes)),
            "score": score,
            "stderr": stderr,
            "sign_certainty": sign_certainty(score, stderr, dof),
            "size": sizes,
            "shapley": estimate.scores,
            "shapley_stderr": estimate.stderr,
            "shapley_sign_certainty": sign_certainty(estimate.scores, estimate.stderr, estimate.dof),
            "shapley_of_one_half": np.nan if estimate.halves is None else estimate.halves[0],
            "shapley_of_other_half": np.nan if estimate.halves is None else estimate.halves[1],
            "proxies": [[game.proxies[i].id for i in places] for places in own],
            "proxy_scores": [None if records is None else records[places].tolist() for places in own],
        }
    )
    table = ranked(table)
    metrics: dict[str, float | int | str | None] = {
        "utility": game.utility,
        "unit": UNITS[game.utility],
        "players": game.play.players,
        "proxies": len(game.proxies),
        "evaluations": cost.evaluations,
        "gradient_runs": cost.runs,
        "fte": cost.fte,
        "seconds": cost.seconds,
        "ended": outcome.ended,
        "v_none": _known(estimate.v_none),
        "v_all": _known(estimate.v_all),
        "shapley_sum": float(estimate.scores.sum()),
        "v_all_minus_v_none": _known(estimate.v_all - estimate.v_none),
        "stderr_mean": _known(float(np.nanmean(stderr))) if np.isfinite(stderr).any() else None,
        "shapley_stderr_mean": _known(float(estimate.stderr.mean())),
        "shapley_rank_stability": _known(estimate.rank_stability),
        "proxies_against_ratings": _known(rank_correlation(score, estimate.scores / proxies)) if rated else None,
        "score_min": float(score.min()),
        "score_max": float(score.max()),
        "diverged": outcome.diverged,
        **cut_counts(game.encoded),
        "notes": "; ".join(notes),
    }
    return ClusterScores(table, outcome.convergence, metrics)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
