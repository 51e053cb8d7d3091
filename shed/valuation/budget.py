"""Budgets: how much an estimator may spend, how sure it must be, and which of the two ended it.

In: an estimator, a game that keeps its evaluations, a `Budget`. Out: an `Outcome`, the last estimate with its cost, why it
ended, and how it converged.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from shed.common.errors import DivergenceError, ShedError
from shed.valuation.estimate import Estimate, Estimator, rank_correlation
from shed.valuation.game import BudgetExhausted, Evaluation, Run

IDLE_CALLS = 200  # calls in a row that ask for nothing new: a small game has no more coalitions to give
ROUNDS_BEFORE_A_TARGET = 4  # spreads and halves of fewer rounds say little


class PricedGame(Protocol):
    """A game that keeps its evaluations and knows their prices; see `shed.valuation.ledger.LedgeredGame`."""

    players: int
    owner: np.ndarray
    setup_fte: float

    def name(self, weights: np.ndarray, run: Run | None = None) -> str: ...

    def price(self, weights: np.ndarray, run: Run | None = None) -> float: ...

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> Iterable[Evaluation]: ...


@dataclass(frozen=True)
class Budget:
    """Limits of what is spent, and targets that end it sooner; None: no such limit or target.

    Attributes:
        evaluations: distinct coalitions; a run with gradients is one.
        fte: fine-tune equivalents.
        minutes: of measuring, whenever it was done: what the ledger gives counts with the time that it took.
        stderr: mean standard error of the scores, in units of utility.
        rank_stability: Spearman-Brown reliability of the scores' order, between halves of the rounds.
    """

    evaluations: int | None = None
    fte: float | None = None
    minutes: float | None = None
    stderr: float | None = None
    rank_stability: float | None = None

    def reached(self, estimate: Estimate) -> str:
        """The target that an estimate reaches, in words; empty if none."""
        if self.stderr is not None and float(np.mean(estimate.stderr)) <= self.stderr:
            return f"the mean standard error is {np.mean(estimate.stderr):.4g}, at most the target of {self.stderr:g}"
        if self.rank_stability is not None and estimate.rank_stability >= self.rank_stability:
            return f"rank stability is {estimate.rank_stability:.3f}, at least the target of {self.rank_stability:g}"
        return ""


@dataclass(frozen=True)
class Cost:
    """What was spent; `runs` are the evaluations with gradients among them, and `fte` has the game's set-up, too."""

    evaluations: int
    runs: int
    fte: float
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How an estimator's play ended.

    Attributes:
        ended: the limit or the target that ended it, in words.
        diverged: evaluations that were not finite and were left out.
        convergence: a row for each round: `evaluations`, `fte`, `rank_correlation` with the last round's scores, `stderr`.
    """

    estimate: Estimate
    cost: Cost
    ended: str
    diverged: int
    convergence: pd.DataFrame


def spend(estimator: Estimator, game: PricedGame, budget: Budget, on_divergence: Literal["stop", "skip"] = "stop") -> Outcome:
    """Let an estimator play until it is done, the budget does not cover its next evaluations, or a target is reached.

    Args:
        on_divergence: what a tuning without a finite utility does: end everything, or leave out what rests on it.

    Raises:
        ShedError: the budget does not cover the first estimate, a tuning diverged under `stop`, or all did under `skip`.
    """
    trace: list[tuple[Cost, Estimate]] = []
    ended = ""
    with MeteredGame(game, budget, on_divergence) as metered:
        try:
            for estimate in estimator.rounds(metered):
                trace.append((metered.cost, estimate))
                ended = budget.reached(estimate) if len(trace) >= ROUNDS_BEFORE_A_TARGET else ""
                if ended:
                    break
            else:
                ended = "all its rounds are done"
        except BudgetExhausted as exhausted:
            ended = str(exhausted)
            if not trace and not metered.diverged:
                needed = least(estimator, game)
                raise ShedError(f"{ended}; the first estimate takes {needed}; raise the budget", "budget") from exhausted
    if not trace:
        raise DivergenceError(f"all {metered.diverged} tunings that the scores rest on diverged")
    cost, estimate = trace[-1]
    rows = [
        {
            "evaluations": then.evaluations,
            "fte": then.fte,
            "rank_correlation": rank_correlation(earlier.scores, estimate.scores),
            "stderr": float(np.mean(earlier.stderr)),
        }
        for then, earlier in trace
    ]
    return Outcome(estimate, cost, ended, metered.diverged, pd.DataFrame(rows))


def least(estimator: Estimator, game: PricedGame) -> str:
    """What an estimator's first estimate takes, in words."""
    evaluations, fte = first_cost(estimator, game)
    return f"{evaluations} evaluations, and {math.ceil(10 * fte) / 10:.1f} FTE"


def first_cost(estimator: Estimator, game: PricedGame) -> tuple[int, float]:
    """Evaluations and FTE of an estimator's first estimate: it is rehearsed, with utilities that are made up."""
    rehearsal = _Rehearsal(game)
    next(iter(estimator.rounds(rehearsal)))
    return len(rehearsal.asked), game.setup_fte + sum(rehearsal.asked.values())


class _Rehearsal:
    """A game of random utilities and marginals, which cost nothing; `asked` has the price of each that was asked for."""

    def __init__(self, game: PricedGame) -> None:
        self.players, self.owner = game.players, game.owner
        self.asked: dict[str, float] = {}
        self._game, self._rng = game, np.random.default_rng(0)

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        self.asked |= {self._game.name(one): self._game.price(one) for one in coalitions}
        return self._rng.random(len(coalitions))

    def marginals(self, weights: np.ndarray, runs: Sequence[Run]) -> list[Evaluation]:
        self.asked |= {self._game.name(*one): self._game.price(*one) for one in zip(weights, runs, strict=True)}
        return [Evaluation(self._rng.random(), 0.0, 0.0, self._rng.random(len(self.owner))) for _ in runs]


class MeteredGame:
    """A game that counts what its estimator uses, shows progress, and raises `BudgetExhausted` before it would exceed it."""

    def __init__(self, game: PricedGame, budget: Budget, on_divergence: Literal["stop", "skip"] = "stop") -> None:
        self.players, self.owner = game.players, game.owner
        self.diverged = 0
        self.cost = Cost(0, 0, game.setup_fte, 0.0)
        self._game, self._budget, self._on_divergence = game, budget, on_divergence
        self._used: dict[str, Evaluation] = {}
        self._idle = 0
        total, unit, self._spent = _binding(budget)
        self._bar = tqdm(desc="evaluations", total=total, unit=unit, disable=None, dynamic_ncols=True)

    def __enter__(self) -> "MeteredGame":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        """(m, players) bool to (m,) float64; paid for together, before the first is evaluated."""
        evaluations = self._evaluate(coalitions, [None] * len(coalitions))
        return np.array([evaluation.utility for evaluation in evaluations], dtype=np.float64)

    def marginals(self, weights: np.ndarray, runs: Sequence[Run]) -> list[Evaluation]:
        """The utilities at weights (m, players), each by its own of the `runs` (m,), and each record's marginal; paid for
        together."""
        return self._evaluate(weights, runs)

    def _afford(self, asked: np.ndarray, runs: Sequence[Run | None]) -> None:
        new = {self._game.name(*one): self._game.price(*one) for one in zip(asked, runs, strict=True)}
        prices = [price for name, price in new.items() if name not in self._used]
        budget, cost = self._budget, self.cost
        self._idle = 0 if prices else self._idle + 1
        if self._idle >= IDLE_CALLS:
            raise BudgetExhausted(f"the last {IDLE_CALLS} rounds asked for nothing new ({cost.evaluations} evaluations used)")
        if not prices:
            return
        if budget.evaluations is not None and cost.evaluations + len(prices) > budget.evaluations:
            raise BudgetExhausted(
                f"the budget of {budget.evaluations} evaluations does not cover the next ones ({cost.evaluations} used)"
            )
        if budget.fte is not None and cost.fte + sum(prices) > budget.fte:
            raise BudgetExhausted(f"the budget of {budget.fte:g} FTE does not cover the next evaluations ({cost.fte:.2f} used)")
        if budget.minutes is not None and cost.seconds >= 60 * budget.minutes:
            raise BudgetExhausted(f"the budget of {budget.minutes:g} minutes is spent ({cost.seconds / 60:.1f} used)")

    def _evaluate(self, asked: np.ndarray, runs: Sequence[Run | None]) -> list[Evaluation]:
        """What is asked for (m, players), each evaluation counted once, however often it is asked for."""
        self._afford(asked, runs)
        names = [self._game.name(*one) for one in zip(asked, runs, strict=True)]
        begun = []
        for run in dict.fromkeys(runs):  # a game that gives out its coalitions begins with those of all runs now
            own = zip(names, asked, runs, strict=True)
            new = {name: weights for name, weights, its in own if its == run and name not in self._used}
            if new:
                begun.append((run, new, self._game.find_or_evaluate(np.stack(list(new.values())), run)))
        for run, new, found in begun:
            for (name, weights), evaluation in zip(new.items(), found, strict=True):
                self._used[name] = evaluation
                self._count(weights, evaluation, run)
        return [self._used[name] for name in names]

    def _count(self, weights: np.ndarray, evaluation: Evaluation, run: Run | None) -> None:
        cost = self.cost
        self.cost = Cost(
            cost.evaluations + 1,
            cost.runs + (run is not None),
            cost.fte + evaluation.fte,
            cost.seconds + evaluation.seconds,
        )
        self._bar.n = self._spent(self.cost)
        self._bar.refresh()
        if not evaluation.finite:
            self.diverged += 1
            if self._on_divergence == "stop":
                players = ", ".join(map(str, np.flatnonzero(weights)))
                raise ShedError(
                    f"tuning on the coalition of clusters {players or 'none'} diverged, so there is no result; what was "
                    "measured stays in the ledger; let scoring skip what diverges, or lower the learning rate",
                    "learning rate",
                )


def _binding(budget: Budget) -> tuple[float | None, str, Callable[[Cost], float]]:
    """The limit that progress is shown against: its size, its unit, and what of it a cost has used."""
    if budget.evaluations is not None:
        return budget.evaluations, "coalition", lambda cost: cost.evaluations
    if budget.fte is not None:
        return budget.fte, "FTE", lambda cost: cost.fte
    if budget.minutes is not None:
        return 60 * budget.minutes, "s", lambda cost: cost.seconds
    return None, "coalition", lambda cost: cost.evaluations
