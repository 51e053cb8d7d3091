"""In-Run Data Shapley: first-order effects of records along one tuning (arXiv 2406.11011), the cheapest scores there are.

In: a differentiable game. Out: one `Estimate`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shed.valuation.estimate import Estimate
from shed.valuation.game import DifferentiableGame, Run


@dataclass(frozen=True)
class InRun:
    """Score records by the dot products of their gradients with dev's, at each step of the tuning on all players."""

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        everyone = np.ones((1, game.players))
        (v_none,) = game.value(np.zeros((1, game.players), dtype=bool))
        (run,) = game.marginals(everyone, [Run("in_run")])
        if run.marginals is None or not np.isfinite(run.marginals).all():
            return
        records, candidates = np.split(run.marginals, [len(game.owner)])
        scores = np.bincount(game.owner, weights=records, minlength=game.players)
        note = "first-order scores have no standard errors; their order counts, and their sum is not v(all) − v(none)"
        yield Estimate(scores, np.full(game.players, np.nan), float(v_none), run.utility, None, records, candidates, (note,))
