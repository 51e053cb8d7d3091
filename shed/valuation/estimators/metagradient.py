"""Shapley scores from gradients through whole tunings: each run gives the marginal of every record, in or out.

In: a differentiable game. Out: an `Estimate` after each pair of runs.

A player's Shapley value is the mean over t in (0, 1) of its expected marginal contribution to a coalition that every player
joins with probability t (Owen 1972). The derivative of utility in a record's training weight stands for that contribution,
once from inside the coalition and once from outside, half and half. A player's is the sum over its records. docs/valuation.md
derives this and says when it fails.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from shed.valuation.estimate import Estimate, average, weighted_mean
from shed.valuation.game import DifferentiableGame, Run, Weighting

GOLDEN = (5**0.5 - 1) / 2
NUDGE = 0.1
SMOOTH = 0.95  # least cosine between the gradients of two close weightings
ONE_PAIR = (
    "one pair of runs: standard errors of Shapley scores are half the root mean square difference between its runs, which "
    "overstates them where utility is smooth; raise the budget for errors over pairs"
)


@dataclass(frozen=True)
class Metagradient:
    """Score players by the mean of utility's gradients at random coalitions, each paired with its complement.

    Pair i depends on the seed and on i alone: t runs evenly over (0, 1/2] as pairs go on, from 1/2, round(t P) players are
    in, and the complement stands for 1 - t. In a pair each player is once in and once out. It is on the side of k players
    with probability k / P, and so the pair counts P / k for it, on average 2; the pair of none and all has one side alone, and
    counts 2. Pairs go on until the budget ends them. Standard errors are over pairs; of one pair alone they are half the root
    mean square difference between its two runs, the same for all players, and a note says so.

    Attributes:
        weighting: `shapley`, or `banzhaf`, for which every pair stands at t = 1/2: players' values to a random half, whose sum
            is not v(all) − v(none) (Data Banzhaf, arXiv 2205.15466). The first pair is the same.
        redraw: each run has initial weights and batches of its own; the first run's are the game's. Scores are then means over
            this randomness, too, which the tuning that they are meant for will draw anew. Otherwise all runs have the game's,
            and scores are those of the game as it is.
        check: first compare the gradients of two close weightings, at the cost of one run more.
    """

    seed: int
    check: bool = True
    weighting: Weighting = "shapley"
    redraw: bool = False

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        players = game.players
        ends = np.stack([np.zeros(players, dtype=bool), np.ones(players, dtype=bool)])
        v_none, v_all = (float(value) for value in game.value(ends))
        notes = smoothness(game, self.coalition(players, 0)) if self.check else ()
        records, candidates = [], []  # marginals, means over each pair
        scores, weights = np.empty((0, players)), np.empty((0, players))
        for pair in count():
            one = self.coalition(players, pair)
            draws = (2 * pair, 2 * pair + 1) if self.redraw else (0, 0)
            runs = _marginals(game, np.stack([one, ~one]).astype(np.float64), draws)
            if not np.isfinite(runs).all():
                continue
            own, others = np.split(runs.mean(axis=0), [len(game.owner)])
            records.append(own)
            candidates.append(others)
            weights = np.vstack(
                [weights, players / np.where(one, one.sum(), (~one).sum()) if one.any() else np.full(players, 2.0)]
            )
            scores = np.vstack([scores, _by_player(game, own)])
            estimate = average(scores, v_none, v_all, weights)
            estimate = replace(
                estimate,
                records=weighted_mean(np.array(records), weights[:, game.owner]),
                candidates=np.mean(candidates, axis=0),
                notes=notes,
            )
            if len(records) == 1:
                ways = np.stack([_by_player(game, run[: len(game.owner)]) for run in runs])
                spread = np.sqrt(np.square(ways[0] - ways[1]).mean()) / 2
                estimate = replace(
                    estimate, stderr=np.full(players, spread), dof=players, halves=ways, notes=(*notes, ONE_PAIR)
                )
            yield estimate

    def coalition(self, players: int, pair: int) -> np.ndarray:
        """(players,) bool: who is in, in the first run of a pair; the others are in the second."""
        share = 0.5 if self.weighting == "banzhaf" else (1.0 - GOLDEN * pair % 1.0) / 2
        size = round(share * players)
        mask = np.zeros(players, dtype=bool)
        mask[np.random.default_rng([self.seed, 3, pair]).permutation(players)[:size]] = True
        return mask


def smoothness(game: DifferentiableGame, coalition: np.ndarray) -> tuple[str, ...]:
    """A note if gradients at a coalition and near it disagree: utility is then no smooth function of weights."""
    cosine = gradient_cosine(game, coalition)
    if cosine >= SMOOTH:
        return ()
    return (
        f"gradients of two close weightings have a cosine of {cosine:.2f}, below {SMOOTH}: utility is not smooth in the "
        "records' weights, and these scores say little; lower the learning rate, raise the batch size, or take fewer "
        "epochs",
    )


def gradient_cosine(game: DifferentiableGame, coalition: np.ndarray) -> float:
    """The cosine of the records' gradients at a coalition (P,) and at a weighting that takes NUDGE off every second member."""
    at = coalition.astype(np.float64)
    near = at.copy()
    near[np.flatnonzero(coalition)[::2]] -= NUDGE
    one, other = _marginals(game, np.stack([at, near]), (0, 0))[:, : len(game.owner)]
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _by_player(game: DifferentiableGame, records: np.ndarray) -> np.ndarray:
    return np.bincount(game.owner, weights=records, minlength=game.players)


def _marginals(game: DifferentiableGame, weights: np.ndarray, draws: Sequence[int]) -> np.ndarray:
    """(m, N + B) at weights (m, players), each under its own of the `draws` (m,)."""
    marginals = [run.marginals for run in game.marginals(weights, [Run("metagradient", draw) for draw in draws])]
    return np.stack([own for own in marginals if own is not None])
