"""The contract of games: a set of players, and a utility for each coalition of them.

In: coalitions as boolean masks (m, players), or weightings of players (m, players) in [0, 1]. Out: utilities, higher is better;
where tuning is differentiable, also what each record's weight adds to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

Attribution = Literal["metagradient", "in_run"]
Weighting = Literal["shapley", "banzhaf"]


@dataclass(frozen=True)
class Evaluation:
    """One measured v(S): its utility, and its cost in fine-tune equivalents and in seconds, its part of those of the coalitions
    that were tuned together.

    Attributes:
        marginals: (N + B,) float64, what each of N records' weights adds to the utility, and what each of B candidates' would
            add; None where only the utility was asked for.
    """

    utility: float
    seconds: float
    fte: float
    marginals: np.ndarray | None = None

    @property
    def finite(self) -> bool:
        """Whether the tuning converged to finite numbers."""
        return bool(np.isfinite(self.utility)) and (self.marginals is None or bool(np.isfinite(self.marginals).all()))


class Run(NamedTuple):
    """A tuning with marginals: of which kind, under which draw of initial weights and batches; 0 is the regime's own."""

    how: Attribution
    draw: int = 0


class BudgetExhausted(Exception):
    """A game on a budget refuses what was asked for, before it is paid; the message says which limit is met."""


class Game(Protocol):
    """What estimators play: `players` of them, and the utility of any coalition."""

    players: int

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        """(m, players) bool to (m,) float64 utilities; NaN where the tuning diverged."""
        ...


class DifferentiableGame(Game, Protocol):
    """A game whose players are groups of records with weights.

    Attributes:
        owner: (N,) for each record the player that it belongs to.
    """

    owner: np.ndarray

    def marginals(self, weights: np.ndarray, runs: Sequence[Run]) -> list[Evaluation]:
        """The utilities at weights (m, players) in [0, 1], each by its own of the `runs` (m,), with the marginals of all
        records and candidates.
        """
        ...
