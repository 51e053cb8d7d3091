"""Shapley scores, or Banzhaf's, as the solution of a least-squares problem over paired random coalitions.

In: a game, and a cheaper estimator if there is one. Out: an `Estimate` after each few pairs of coalitions.

The Shapley values minimise Σ_S k(S) (v(S) − v(∅) − Σ_{i∈S} φ_i)² under Σφ = v(all) − v(∅), with k(S) the Shapley kernel
(KernelSHAP, arXiv 1705.07874). The Banzhaf values are the same without kernel and constraint (Data Banzhaf, arXiv
2205.15466). Each coalition S comes with its complement S̄ (see `paired_coalitions`). The rows of the two are each other's
negatives, so a pair is one row, and half of v(S) − v(S̄) its target.

Beside the scores a curve of utility over the coalition's size is fitted (`size_baseline`). A ridge penalty shrinks scores
where there are too few evaluations for as many players: towards equal shares, or towards a surrogate's scores s times the β
that fits best. Shapley values are additive in games, φ(v) = φ(g) + φ(βs) + φ(v − g − βs), so evaluations pay for what the
curve and the surrogate miss alone. Curve, β and scores are fitted together: a size tells of s, too, where those who score
high happen to be in the larger coalitions. Cross-validation over pairs chooses the penalty and the number of the curve's
terms.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shed.common.errors import DivergenceError, ShedError
from shed.valuation.estimate import Estimate, Estimator
from shed.valuation.estimators import paired_coalitions, size_baseline
from shed.valuation.estimators.ridge import Problem, chosen
from shed.valuation.game import BudgetExhausted, DifferentiableGame, Weighting

FOLDS = 5
ENOUGH = 5  # evaluations a player; with fewer, scores are shrunk and said to be
PAIRS_PER_TERM = 4


@dataclass(frozen=True)
class Regression:
    """Score players by ridge regression on coalitions: none, all, and pairs of complements.

    The pairs depend on the seed alone, so that more evaluations add to fewer. Standard errors are those of residuals by pair,
    each corrected for its leverage (HC3), at the chosen penalty, and what that may have shrunk away: see `ridge.Problem`.
    Once a small game has no more pairs to give, the scores are exact.

    Attributes:
        weighting: `shapley`, or `banzhaf`, whose scores do not sum to v(all) − v(none).
        surrogate: a cheaper estimator, whose first estimate the penalty shrinks towards; it plays on the same budget.

    Example:
        >>> class Additive:
        ...     players = 3
        ...     def value(self, coalitions):
        ...         return coalitions @ np.array([1.0, 2.0, 4.0])
        >>> next(Regression(seed=0).rounds(Additive())).scores.round(6)
        array([1., 2., 4.])
    """

    seed: int
    weighting: Weighting = "shapley"
    surrogate: Estimator | None = None

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        """An estimate whenever there is an eighth more pairs, from the fifth on, and one of all pairs when the budget is spent
        or no pair is left.

        Pairs with a coalition that diverged are left out.

        Raises:
            ShedError: fewer than two players.
        """
        players = game.players
        if players < 2:
            raise ShedError("regression needs at least two players; use exact")
        ends = np.stack([np.zeros(players, dtype=bool), np.ones(players, dtype=bool)])
        v_none, v_all = (float(value) for value in game.value(ends))
        if not np.isfinite([v_none, v_all]).all():
            raise DivergenceError("the tuning on all players diverged, and regression needs it")
        surrogate = None if self.surrogate is None else next(self.surrogate.rounds(game)).scores
        evidence = _Evidence(np.empty((0, players), dtype=bool), np.empty(0), v_none, v_all, self.weighting, surrogate)
        solved = diverged = 0
        for one in paired_coalitions.draw(players, self.seed, self.weighting):
            try:
                measured = game.value(np.stack([one, ~one]))
            except BudgetExhausted:
                if evidence.pairs > max(solved, FOLDS - 1):
                    yield evidence.estimate(self.seed)
                raise
            if np.isfinite(measured).all():
                evidence.add(one, float(measured[0] - measured[1]) / 2)
            else:
                diverged += 1
            if evidence.pairs >= max(FOLDS, solved * 9 / 8):
                solved = evidence.pairs
                yield evidence.estimate(self.seed)
        if not diverged:
            yield evidence.exact()
        elif evidence.pairs > max(solved, 1):
            yield evidence.estimate(self.seed)


@dataclass
class _Evidence:
    """What is measured: coalitions (m, P), one of each pair, and half of what their utilities exceed their complements' by."""

    coalitions: np.ndarray
    differences: np.ndarray
    v_none: float
    v_all: float
    weighting: Weighting
    surrogate: np.ndarray | None

    @property
    def pairs(self) -> int:
        return len(self.differences)

    def add(self, coalition: np.ndarray, difference: float) -> None:
        self.coalitions = np.vstack([self.coalitions, coalition])
        self.differences = np.append(self.differences, difference)

    def estimate(self, seed: int) -> Estimate:
        """Scores by the curve and the penalty that cross-validation chooses."""
        players = self.coalitions.shape[1]
        most = min(size_baseline.MOST, (players - 1) // 2, self.pairs // PAIRS_PER_TERM)  # a curve has as many sizes as that
        fewest = int(self.weighting == "banzhaf")  # the line, of which shares are not known
        problems = [self.problem(terms) for terms in range(fewest, max(fewest, most) + 1)]
        order = np.random.default_rng([seed, 1, self.pairs]).permutation(self.pairs)
        evaluations = 2 * self.pairs + 2
        few = evaluations < ENOUGH * players
        problem, penalty = chosen(problems, np.array_split(order, min(FOLDS, self.pairs)), few)
        everything = np.arange(self.pairs)
        halves = np.stack([problem.scores(everything[::2], penalty), problem.scores(everything[1::2], penalty)])
        notes = []
        if few:
            towards = "equal shares" if self.surrogate is None else "the surrogate"
            notes.append(
                f"{evaluations} evaluations for {players} players are fewer than {ENOUGH * players}: scores are shrunk towards "
                f"{towards}, by {1 - problem.kept(penalty):.0%} on average"
            )
        scores, stderr = problem.scores(everything, penalty), problem.stderr(penalty)
        return Estimate(scores, stderr, self.v_none, self.v_all, halves, notes=tuple(notes))

    def exact(self) -> Estimate:
        """Scores from all pairs that there are, without error."""
        scores = self.problem(0, with_surrogate=False).scores(np.arange(self.pairs), 0.0)
        return Estimate(scores, np.zeros(len(scores)), self.v_none, self.v_all)

    def problem(self, terms: int, with_surrogate: bool = True) -> Problem:
        """The least-squares problem with this many terms of the curve.

        For Shapley, equal shares are taken off and rows are centred over players, which frees the problem of its constraint.
        """
        players, sizes = self.coalitions.shape[1], self.coalitions.sum(axis=1)
        banzhaf = self.weighting == "banzhaf"
        if banzhaf:
            share, scale = 0.0, np.ones(self.pairs)
            rows = self.coalitions - 0.5
        else:
            share = (self.v_all - self.v_none) / players
            kernel = (players - 1) / (sizes * (players - sizes))
            scale = np.sqrt(kernel * paired_coalitions.weights(sizes, players))
            rows = (self.coalitions - (sizes / players)[:, None]) * scale[:, None]
        targets = (self.differences - (sizes - players / 2) * share) * scale
        free = size_baseline.terms(sizes, players, self.weighting)[:, :terms] * scale[:, None]
        shifts = np.outer(size_baseline.worth(players, self.weighting)[:terms], np.ones(players))
        if self.surrogate is not None and with_surrogate:
            direction = self.surrogate - self.surrogate.mean()
            along = (rows @ direction)[:, None]
            beta = (np.linalg.pinv(np.hstack([along, free])) @ targets)[0]
            if beta > 0:  # a surrogate that fits the wrong way round is no help
                free, shifts = np.hstack([along, free]), np.vstack([direction, shifts])
        undrawn = paired_coalitions.undrawn(sizes, players, self.weighting)
        return Problem(rows, targets, free, shifts, np.full(players, share), not banzhaf, undrawn)
