"""Scores for clusters, from the game that their proxies play.

In: an open game and an estimator. Out: a table with a score for each cluster, and metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shed.prompts import cut_counts
from shed.proxy_game import ProxyGame
from shed.valuation.estimate import Estimate
from shed.valuation.ledger import LedgeredGame


@dataclass(frozen=True)
class Scored:
    """What scoring yields.

    Attributes:
        table: a row for each cluster, best first: `rank`, `cluster`, `score`, `stderr`, `size`, `proxies` (their ids).
        convergence: the estimator's.
        metrics: cost and totals, flat.
    """

    table: pd.DataFrame
    convergence: pd.DataFrame
    metrics: dict[str, float | int | str | None]


def score_clusters(
    game: ProxyGame, estimator: Callable[[LedgeredGame], Estimate], sizes: np.ndarray, max_tokens: int
) -> Scored:
    """Estimate each cluster's Shapley score from its proxies' effect on dev utility.

    Args:
        game: open; its cost is that of all evaluations that the estimator uses, whenever they were made.
        estimator: any callable from a game to an `Estimate`.
        sizes: (C,) records in each cluster.
        max_tokens: context, for the counts of what was cut.
    """
    estimate = estimator(game.play)
    notes = list(estimate.notes)
    if estimate.v_all < estimate.v_none:
        notes.append("tuning on all proxies made dev utility worse, so scores tell what harms least; lower score.tuning.lr")
    table = pd.DataFrame(
        {
            "cluster": np.arange(len(sizes)),
            "score": estimate.scores,
            "stderr": estimate.stderr,
            "size": sizes,
            "proxies": [
                [record.id for record, own in zip(game.proxies, game.owner, strict=True) if own == cluster]
                for cluster in range(len(sizes))
            ],
        }
    )
    table = table.sort_values(["score", "cluster"], ascending=[False, True], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    metrics: dict[str, float | int | str | None] = {
        "utility": "dev_loss",
        "players": game.play.players,
        "proxies": len(game.proxies),
        "evaluations": estimate.evaluations,
        "fte": game.play.fte,
        "seconds": game.play.seconds,
        "v_none": estimate.v_none,
        "v_all": estimate.v_all,
        "score_sum": float(estimate.scores.sum()),
        "v_all_minus_v_none": estimate.v_all - estimate.v_none,
        "stderr_mean": None if np.isnan(estimate.stderr).any() else float(estimate.stderr.mean()),
        "score_min": float(estimate.scores.min()),
        "score_max": float(estimate.scores.max()),
        **cut_counts(game.encoded, max_tokens),
        "notes": "; ".join(notes),
    }
    return Scored(table, estimate.convergence, metrics)
