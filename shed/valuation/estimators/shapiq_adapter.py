"""Any black-box approximator of the shapiq package by its name: KernelSHAP, SVARM, PermutationSamplingSV, ProxySPEX …

In: a game. Out: one `Estimate`. Needs the extra `shed-tuning[shapiq]`.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shed.common.errors import DivergenceError, ShedError
from shed.valuation.estimate import Estimate
from shed.valuation.game import Game

FAILURES = (ValueError, ZeroDivisionError, np.linalg.LinAlgError)  # how shapiq's classes meet a budget that is too small
MOST_REHEARSED = 512  # evaluations up to which a budget that is enough is looked for


@dataclass(frozen=True)
class ShapiqAdapter:
    """Score players by first-order Shapley values of `shapiq.approximator.<name>`.

    Attributes:
        name: of the class.
        evaluations: how many it may ask for, none and all among them.
    """

    name: str
    evaluations: int
    seed: int

    def rounds(self, game: Game) -> Iterator[Estimate]:
        """One estimate, without standard errors.

        Raises:
            ShedError: shapiq is not installed, has no such approximator, or it fails; or a coalition diverged.
        """
        approximator = _find(self.name, game.players, self.seed)
        ends = np.stack([np.zeros(game.players, dtype=bool), np.ones(game.players, dtype=bool)])
        v_none, v_all = (float(value) for value in game.value(ends))

        def gain(coalitions: np.ndarray) -> np.ndarray:
            values = game.value(np.atleast_2d(np.asarray(coalitions, dtype=bool))) - v_none
            if not np.isfinite(values).all():
                raise DivergenceError("some tunings diverged, and shapiq needs all of them")
            return values

        try:
            found = approximator.approximate(self.evaluations - 2, gain)
            scores = np.array([float(found[(player,)]) for player in range(game.players)])
        except FAILURES as error:
            enough = self._enough(game.players)
            advice = f"it takes {enough}: raise" if enough else "raise"
            raise ShedError(
                f"shapiq's {self.name} fails on {game.players} players and {self.evaluations} evaluations ({error}); {advice} "
                "the number of evaluations, or choose another approximator",
                "evaluations",
            ) from error
        yield Estimate(scores, np.full(game.players, np.nan), v_none, v_all, notes=("shapiq gives no standard errors",))

    def _enough(self, players: int) -> int | None:
        """The least number of evaluations that the approximator does not fail on, with utilities that cost nothing."""
        rng = np.random.default_rng(0)
        for evaluations in range(self.evaluations + 1, min(MOST_REHEARSED, 2**players) + 1):
            try:
                _find(self.name, players, self.seed).approximate(
                    evaluations - 2, lambda coalitions: rng.random(len(coalitions))
                )
            except FAILURES:
                continue
            return evaluations
        return None


def _find(name: str, players: int, seed: int):  # type: ignore[no-untyped-def]  # shapiq's types are not there without the extra
    try:
        from shapiq import approximator as known
    except ImportError as error:
        raise ShedError("this estimator needs the package shapiq: pip install 'shed-tuning[shapiq]'") from error
    names = sorted(n for n, c in vars(known).items() if inspect.isclass(c) and n != "Approximator")
    if name not in names:
        raise ShedError(f"shapiq has no approximator {name!r}; it has {', '.join(names)}", "approximator")
    accepted = inspect.signature(getattr(known, name)).parameters
    wanted = {"n": players, "index": "SV", "max_order": 1, "random_state": seed}
    try:
        return getattr(known, name)(**{key: value for key, value in wanted.items() if key in accepted})
    except (ValueError, TypeError, ImportError) as error:
        raise ShedError(
            f"shapiq's {name} cannot be used here ({error}); choose another approximator", "approximator"
        ) from error
