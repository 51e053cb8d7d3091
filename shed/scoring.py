"""Scores for clusters, from the game that their proxies play.

In: an open game and an estimator. Out: a table with a score for each cluster, and metrics.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from shed.fidelity import sign_certainty
from shed.prompts import cut_counts
from shed.proxy_game import ProxyGame
from shed.valuation.budget import Budget, spend
from shed.valuation.estimate import Estimator
from shed.valuation.utility import UNITS


@dataclass(frozen=True)
class Scored:
    """What scoring yields.

    Attributes:
        table: a row for each cluster, best first: `rank`, `cluster`, `score`, `stderr`, `sign_certainty` (the probability that
            the score's sign is right), `size`, `proxies` (their ids), `proxy_scores` (each proxy's part of the score; null
            where the estimator knows clusters alone).
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
    table = pd.DataFrame(
        {
            "cluster": np.arange(len(sizes)),
            "score": estimate.scores,
            "stderr": estimate.stderr,
            "sign_certainty": sign_certainty(estimate.scores, estimate.stderr),
            "size": sizes,
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
        "score_sum": float(estimate.scores.sum()),
        "v_all_minus_v_none": estimate.v_all - estimate.v_none,
        "stderr_mean": _known(float(estimate.stderr.mean())),
        "rank_stability": _known(estimate.rank_stability),
        "score_min": float(estimate.scores.min()),
        "score_max": float(estimate.scores.max()),
        "diverged": outcome.diverged,
        **cut_counts(game.encoded, max_tokens),
        "notes": "; ".join(notes),
    }
    return Scored(table, outcome.convergence, metrics)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
