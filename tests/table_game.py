"""A game whose utilities are a table, and its exact Shapley values by the definition: the mean over all orders."""

from itertools import permutations

import numpy as np
from hypothesis import strategies as st


class TableGame:
    """A game whose 2^P utilities are given."""

    def __init__(self, utilities: np.ndarray) -> None:
        self.players = int(np.log2(len(utilities)))
        self.utilities = utilities
        self.asked: set[int] = set()

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        numbers = coalitions @ (1 << np.arange(self.players))
        self.asked |= set(numbers.tolist())
        return self.utilities[numbers]

    def exact(self) -> np.ndarray:
        total = np.zeros(self.players)
        orders = list(permutations(range(self.players)))
        for order in orders:
            before = 0
            for player in order:
                total[player] += self.utilities[before | 1 << player] - self.utilities[before]
                before |= 1 << player
        return total / len(orders)


games = st.integers(1, 5).flatmap(
    lambda players: st.lists(st.floats(-10, 10), min_size=2**players, max_size=2**players).map(lambda u: TableGame(np.array(u)))
)
