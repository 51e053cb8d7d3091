"""Scores for clusters, from the game that their proxies play.

In: an open game and an estimator. Out: a table with a score for each cluster, and metrics.

A proxy says what it is worth itself; records of a cluster differ. Where the estimator differentiates, the same gradients tell
what any other record would be worth, and a cluster's score is the mean over some of its members, drawn at random.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from shed.fidelity import sign_certainty
from shed.prompts import cut_counts
from shed.proxy_game import ProxyGame
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimate, Estimator, rank_correlation
from shed.valuation.utility import UNITS


@dataclass(frozen=True)
class Scored:
    """What scoring yields.

    Attributes:
        table: a row for each cluster, best first: `rank`, `cluster`, `score`, `stderr`, `sign_certainty` (the probability that
            the score's sign is right), `size`, `members` (how many of them were drawn), `shapley` and `shapley_stderr` (the
            score of the game's player, the cluster's proxies), `proxies` (their ids), `proxy_scores` (each proxy's part of it;
            null where the estimator knows clusters alone). Without drawn members the score is the Shapley score; with them it
            is their mean marginal, that of one record, and the error that of the draw and of a proxy's Shapley score together.
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
    sizes: np.ndarray,
    max_tokens: int,
) -> Scored:
    """Estimate each cluster's Shapley score from its proxies' effect on dev utility.

    Args:
        game: open; its cost is that of all evaluations that the estimator uses, whenever they were made.
        budget, on_divergence: see `shed.valuation.budget.spend`.
        sizes: (C,) records in each cluster.
        max_tokens: context, for the counts of what was cut.
    """
    outcome = spend(estimator, game.play, budget, on_divergence)
    estimate, cost = outcome.estimate, outcome.cost
    notes = list(estimate.notes)
    if outcome.diverged:
        notes.append(f"{outcome.diverged} of {cost.evaluations} tunings diverged and were left out; lower score.tuning.lr")
    if estimate.v_all < estimate.v_none:
        notes.append("tuning on all proxies made dev utility worse, so scores tell what harms least; lower score.tuning.lr")
    own = [np.flatnonzero(game.owner == cluster) for cluster in range(len(sizes))]
    records = estimate.records
    drawn = np.bincount(game.bystander_owner, minlength=len(sizes))
    score, stderr = _of_members(game, estimate, sizes) if len(game.bystander_owner) else (estimate.scores, estimate.stderr)
    table = pd.DataFrame(
        {
            "cluster": np.arange(len(sizes)),
            "score": score,
            "stderr": stderr,
            "sign_certainty": sign_certainty(score, stderr),
            "size": sizes,
            "members": drawn,
            "shapley": estimate.scores,
            "shapley_stderr": estimate.stderr,
            "proxies": [[game.proxies[i].id for i in places] for places in own],
            "proxy_scores": [None if records is None else records[places].tolist() for places in own],
        }
    )
    table = table.sort_values(["score", "cluster"], ascending=[False, True], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
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
        "v_none": estimate.v_none,
        "v_all": estimate.v_all,
        "shapley_sum": float(estimate.scores.sum()),
        "v_all_minus_v_none": estimate.v_all - estimate.v_none,
        "stderr_mean": _known(float(np.nanmean(stderr))) if np.isfinite(stderr).any() else None,
        "shapley_stderr_mean": _known(float(estimate.stderr.mean())),
        "shapley_rank_stability": _known(estimate.rank_stability),
        "members": int(drawn.sum()),
        "proxies_against_members": _known(rank_correlation(score, estimate.scores)) if drawn.any() else None,
        "score_min": float(score.min()),
        "score_max": float(score.max()),
        "diverged": outcome.diverged,
        **cut_counts(game.encoded, max_tokens),
        "notes": "; ".join(notes),
    }
    return Scored(table, outcome.convergence, metrics)


def draw_members(clusters: pd.DataFrame, each: int, seed: int) -> np.ndarray:
    """(N,) bool: in every cluster `each` random records that are no proxies, or all that it has; seeded by cluster."""
    labels, proxy = clusters["cluster"].to_numpy(), clusters["proxy"].to_numpy()
    drawn = np.zeros(len(clusters), dtype=bool)
    for cluster in range(labels.max() + 1):
        others = np.flatnonzero((labels == cluster) & ~proxy)
        drawn[np.random.default_rng([seed, cluster]).permutation(others)[:each]] = True
    return drawn


def _of_members(game: ProxyGame, estimate: Estimate, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(C,) the mean marginal of each cluster's drawn members, and its standard error; a cluster of proxies alone has theirs.

    The error is that of the draw, which ends when all were drawn, and that of a proxy's Shapley score, where it is known.
    """
    assert estimate.bystanders is not None
    assert estimate.records is not None
    score, of_draw = np.empty(len(sizes)), np.zeros(len(sizes))
    proxies = np.bincount(game.owner, minlength=len(sizes))
    for cluster, others in enumerate(sizes - proxies):
        found = estimate.bystanders[game.bystander_owner == cluster]
        score[cluster] = (found if len(found) else estimate.records[game.owner == cluster]).mean()
        if len(found) < others:
            spread = found.std(ddof=1) if len(found) > 1 else np.nan
            of_draw[cluster] = spread / np.sqrt(len(found)) * np.sqrt(1 - len(found) / others)
    return score, np.hypot(of_draw, np.nan_to_num(estimate.stderr / proxies))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
