"""A game whose utilities are a table, and its exact Shapley values by the definition: the mean over all orders."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from hypothesis import strategies as st

from shed.valuation.budget import Budget, Outcome, spend
from shed.valuation.estimate import Estimate, Estimator
from shed.valuation.game import DifferentiableGame, Evaluation, Game, Run


class Kept:
    """Any game as `spend` takes it; an evaluation costs as many FTE as its share of the players, and a second."""

    def __init__(self, game: Game) -> None:
        self.players, self.owner, self.setup_fte = game.players, np.arange(game.players), 0.0
        self._game = game

    def name(self, weights: np.ndarray, run: Run | None = None) -> str:
        return f"{weights.tolist()} {run}"

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        return float(np.mean(weights))

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        values = self._game.value(weights)
        return [Evaluation(float(value), 1.0, self.price(one)) for one, value in zip(weights, values, strict=True)]


def play(estimator: Estimator, game: Game, evaluations: int | None = None) -> Outcome:
    return spend(estimator, Kept(game), Budget(evaluations=evaluations))


def last(estimator: Estimator, game: Game, evaluations: int | None = None) -> Estimate:
    return play(estimator, game, evaluations).estimate


class TableGame:
    """A game whose 2^P utilities are given."""

    def __init__(self, utilities: np.ndarray) -> None:
        self.players = int(np.log2(len(utilities)))
        self.utilities = utilities
        self.asked: set[int] = set()

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        numbers = coalitions @ (1 << np.arange(self.players))
        self.asked |= set(numbers.tolist())
        utilities: np.ndarray = self.utilities[numbers]
        return utilities

    def exact(self) -> np.ndarray:
        total = np.zeros(self.players)
        orders = list(permutations(range(self.players)))
        for order in orders:
            before = 0
            for player in order:
                total[player] += self.utilities[before | 1 << player] - self.utilities[before]
                before |= 1 << player
        return total / len(orders)


class Fixed:
    """An estimator that knows its scores and asks nothing."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        yield Estimate(self._scores, np.zeros(len(self._scores)), 0.0, 0.0)


games = st.integers(1, 5).flatmap(
    lambda players: st.lists(st.floats(-10, 10), min_size=2**players, max_size=2**players).map(lambda u: TableGame(np.array(u)))
)
