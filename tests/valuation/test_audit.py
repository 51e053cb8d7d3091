"""An audit measures all coalitions in all draws of each regime, and counts predictions from v(∅) of the first one."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from table_game import Kept, TableGame

from shed.valuation.audit import Audit, AuditedRegime, audit, certainty_of
from shed.valuation.fidelity import half_coalitions

PLAYERS, EMPTY = 8, 5.0  # v(∅)
WORTH = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
HALVES = half_coalitions(PLAYERS, 20, seed=3)


class Additive(TableGame):
    """A game whose players add what they are worth, or `shift` more to all; a coalition of player 0 may diverge."""

    def __init__(self, shift: float, diverges: bool = False) -> None:
        self.players, self._shift, self._diverges = PLAYERS, shift, diverges

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        values: np.ndarray = coalitions @ WORTH + EMPTY + self._shift
        return np.where(coalitions[:, 0] & self._diverges, np.nan, values)


@pytest.fixture(scope="module")
def found() -> Audit:
    opened: list[float] = []

    def draw(shift: float, diverges: bool = False) -> object:
        @contextmanager
        def opens() -> Iterator[SimpleNamespace]:
            opened.append(shift)
            kept = Kept(game := Additive(shift, diverges))
            yield SimpleNamespace(play=SimpleNamespace(value=game.value, find_or_evaluate=kept.find_or_evaluate))

        return opens

    regimes = {
        "scoring": AuditedRegime("dev_loss", HALVES, [draw(0.0)]),
        "target": AuditedRegime("choice_loss", HALVES, [draw(1.0), draw(3.0), draw(8.0, diverges=True)]),
    }
    told = audit(regimes, {"true": WORTH, "wrong": -WORTH}, seed=0)
    assert opened == [0.0, 1.0, 3.0, 8.0]
    return told


def test_predictions_count_from_the_first_regimes_empty_coalition(found: Audit) -> None:
    scoring, target = found.points["scoring"], found.points["target"]
    np.testing.assert_allclose(scoring["predicted"], HALVES @ WORTH + EMPTY)
    np.testing.assert_allclose(scoring["measured"], HALVES @ WORTH + EMPTY)
    kept = HALVES[~HALVES[:, 0]]
    np.testing.assert_allclose(target["predicted"], kept @ WORTH + EMPTY)
    np.testing.assert_allclose(target["measured"], kept @ WORTH + EMPTY + 4.0)  # the mean of the draws


def test_the_report_counts_what_diverged_and_has_each_kind_of_scores(found: Audit) -> None:
    scoring, target = found.report["scoring"], found.report["target"]
    without = int((~HALVES[:, 0]).sum())
    assert (scoring["coalitions"], scoring["diverged"], scoring["draws_agree"]) == (20, 0, None)
    assert (target["coalitions"], target["diverged"], target["draws_agree"]) == (without, 20 - without, pytest.approx(1.0))
    assert (scoring["unit"], target["utility"]) != (target["unit"], scoring["utility"])
    assert scoring["utility_std"] == pytest.approx(np.std(HALVES @ WORTH, ddof=1))
    assert scoring["true"]["lds"] == pytest.approx(1.0) == -scoring["wrong"]["lds"]
    assert abs(scoring["random"]["lds"]) < 0.5


def test_certain_signs_are_those_of_more_than_97_5_percent() -> None:
    halves = {"shapley_of_one_half": [1.0, 2.0, 3.0, 4.0], "shapley_of_other_half": [1.0, 2.0, 4.0, 3.0]}
    scores = pd.DataFrame({**halves, "shapley_sign_certainty": [0.975, 0.98, 0.5, 1.0]})
    told = certainty_of(scores)
    assert told["certain_signs"] == 0.5
    assert told["rank_reliability"] == pytest.approx(2 * 0.8 / 1.8)  # Spearman's 0.8, stepped up
    assert certainty_of(scores.assign(shapley_sign_certainty=np.nan))["certain_signs"] is None
    assert certainty_of(scores.assign(shapley_of_one_half=1.0))["rank_reliability"] is None
