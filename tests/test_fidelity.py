"""An audit that true scores pass and wrong ones fail."""

import numpy as np
import pytest
from table_game import TableGame

from shed.fidelity import audit


@pytest.fixture
def game() -> TableGame:
    """Ten players whose values add up."""
    values = np.arange(10.0) - 3
    return TableGame(np.array([values @ (number >> np.arange(10) & 1) for number in range(1024)]) - 7)


def test_true_scores_predict_unseen_coalitions_exactly(game: TableGame) -> None:
    found = audit(game, np.arange(10.0) - 3, np.full(10, 0.5), coalitions=30, seed=0)
    np.testing.assert_allclose(found.points["predicted"], found.points["measured"])
    assert found.metrics["lds"] == pytest.approx(1.0)
    assert found.metrics["lds_low"] == pytest.approx(1.0)
    assert found.metrics["certain_signs"] == 0.9  # all but the player at exactly zero


def test_scores_of_the_wrong_sign_and_of_no_meaning(game: TableGame) -> None:
    wrong = audit(game, 3 - np.arange(10.0), np.full(10, np.nan), coalitions=30, seed=0)
    assert wrong.metrics["lds"] == pytest.approx(-1.0)
    assert wrong.metrics["certain_signs"] is None
    noise = audit(game, np.random.default_rng(3).standard_normal(10), np.ones(10), coalitions=60, seed=0)
    assert noise.metrics["lds_low"] < noise.metrics["lds"] < noise.metrics["lds_high"]  # type: ignore[operator]
    assert noise.metrics["lds_high"] - noise.metrics["lds_low"] > 0.2  # type: ignore[operator]
