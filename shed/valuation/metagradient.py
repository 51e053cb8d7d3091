"""Shapley scores from gradients through whole tunings: each run gives the marginal of every record, in or out.

In: a differentiable game. Out: an `Estimate` after each pair of runs.

Owen's multilinear extension V(w) is the expected utility of a coalition that player i joins with probability w_i, and the
Shapley value is φ_i = ∫₀¹ ∂V/∂w_i(t, …, t) dt (Owen 1972). ∂V/∂w_i is i's expected marginal contribution; at a coalition
that was drawn, the derivative of utility in i's training weight stands for it. Each record has its own derivative, and a
player's is the sum over its records. docs/valuation.md derives this and says when it fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from shed.valuation.estimate import Estimate, average
from shed.valuation.game import DifferentiableGame

GOLDEN = (5**0.5 - 1) / 2
NUDGE = 0.1
SMOOTH = 0.9  # least cosine between the gradients of two close weightings
ONE_PAIR = (
    "one pair of runs: standard errors are half the root mean square difference between its runs, which overstates them "
    "where utility is smooth; raise score.budget for errors over pairs"
)


@dataclass(frozen=True)
class Metagradient:
    """Score players by the mean of utility's gradients at random coalitions, each paired with its complement.

    Pair i depends on the seed and on i alone: t runs evenly over (0, 1) as pairs go on, from 1/2, and round(t P) players are
    in. Pairs go on until the budget ends them. Standard errors are over pairs; of one pair alone they are half the root mean
    square difference between its two runs, the same for all players, and a note says so.

    Attributes:
        check: first compare the gradients of two close weightings, at the cost of one run more.
    """

    seed: int
    check: bool = True

    def least(self, game: DifferentiableGame) -> str:
        runs = 3 if self.check else 2
        return f"{2 + runs} evaluations, none, all and {runs} runs with gradients of at most 3 FTE each"

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        players = game.players
        ends = np.stack([np.zeros(players, dtype=bool), np.ones(players, dtype=bool)])
        v_none, v_all = (float(value) for value in game.value(ends))
        notes = smoothness(game, self._coalition(players, 0)) if self.check else ()
        scores, records = np.empty((0, players)), np.empty((0, len(game.owner)))
        for pair in count():
            one = self._coalition(players, pair)
            runs = np.stack([_marginals(game, way.astype(np.float64)) for way in (one, ~one)])
            by_player = np.stack([np.bincount(game.owner, weights=run, minlength=players) for run in runs])
            if not np.isfinite(runs).all():
                continue
            records, scores = np.vstack([records, runs.mean(axis=0)]), np.vstack([scores, by_player.mean(axis=0)])
            estimate = replace(average(scores, v_none, v_all, records), notes=notes)
            if len(scores) == 1:
                spread = np.sqrt(np.square(by_player[0] - by_player[1]).mean()) / 2
                estimate = replace(estimate, stderr=np.full(players, spread), halves=by_player, notes=(*notes, ONE_PAIR))
            yield estimate

    def _coalition(self, players: int, pair: int) -> np.ndarray:
        size = round(((0.5 + GOLDEN * pair) % 1.0) * players)
        mask = np.zeros(players, dtype=bool)
        mask[np.random.default_rng([self.seed, 3, pair]).permutation(players)[:size]] = True
        return mask


def smoothness(game: DifferentiableGame, coalition: np.ndarray) -> tuple[str, ...]:
    """A note if gradients at a coalition and near it disagree: utility is then no smooth function of weights.

    The near weighting takes NUDGE off every second player that is in.
    """
    at = coalition.astype(np.float64)
    near = at.copy()
    near[np.flatnonzero(coalition)[::2]] -= NUDGE
    one, other = (_marginals(game, weights) for weights in (at, near))
    cosine = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    if cosine >= SMOOTH:
        return ()
    return (
        f"gradients of two close weightings have a cosine of {cosine:.2f}, below {SMOOTH}: utility is not smooth in the "
        "records' weights, and these scores say little; lower score.tuning.lr, raise score.tuning.batch_size, or take fewer "
        "steps (epochs)",
    )


def _marginals(game: DifferentiableGame, weights: np.ndarray) -> np.ndarray:
    marginals = game.marginals(weights, "metagradient").marginals
    assert marginals is not None
    return marginals
