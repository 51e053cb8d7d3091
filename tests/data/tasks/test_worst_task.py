"""Two tasks that pull in opposite directions: their mean picks what helps one of them most, the worst of them what helps both."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_regime import regime

from shed.common.errors import ShedError
from shed.data.records import Record, single_turn
from shed.data.tasks.combining import Combine
from shed.engine.coalition_trainer import CoalitionTrainer
from shed.models.specs import ModelSpec
from shed.valuation import ratings
from shed.valuation.budget import Budget, spend
from shed.valuation.estimators.exact import Exact
from shed.valuation.proxy_game import Setting, open_game
from shed.valuation.rated_blocks import RatedBlocks
from shed.valuation.rating import rater
from shed.valuation.ratings import Ratings, least, rate

REGIME = regime(lr=0.03, epochs=6)
SHARES = {"agree": 0.5, "refuse": 0.5}
RESPONSES = {"agrees": "yes yes yes yes", "refuses": "no no no no", "both": "it it", "neither": "cd"}


def said(kind: str, response: str, numbers: range) -> list[Record]:
    return [single_turn(f"say it {n}", response, kind, f"{kind} {n}") for n in numbers]


DEV = [
    *said("agree", "yes it", range(10, 13)),
    *said("refuse", "no it", range(20, 23)),
]  # the same question, and opposite answers but for a part


def pool_of(kinds: tuple[str, ...], each: int) -> list[Record]:
    of_kinds = [said(kind, RESPONSES[kind], range(each)) for kind in kinds]
    return [record for own in zip(*of_kinds, strict=True) for record in own]


def rated(tiny_model: str, combine: Combine, kept: RatedBlocks | None = None) -> tuple[list[str], Ratings]:
    """Kinds of the pool's records, best first, and their ratings."""
    pool = pool_of(tuple(RESPONSES), 4)
    found = rate(pool, DEV, ModelSpec(tiny_model, "plain", 200), "dev_loss", REGIME, 16, kept, SHARES, combine)
    return [pool[i].source for i in np.argsort(-found.ratings)], found


def test_the_best_by_mean_help_one_task_and_harm_the_other_and_the_best_by_worst_help_both(tiny_model: str) -> None:
    by_mean, mean = rated(tiny_model, "mean")
    by_worst, worst = rated(tiny_model, "worst")
    assert set(by_mean[:4]) <= {"agrees", "refuses"}
    assert by_worst[:4] == ["both"] * 4
    assert np.sort(worst.ratings)[-4] > 0 > np.sort(worst.ratings)[-5]  # whatever else there is harms a task
    assert worst.metrics["unit"] == mean.metrics["unit"]
    assert worst.metrics["combine"] == "worst"
    assert worst.metrics["v_none"] == 0.0
    assert int(worst.metrics["least_agree"]) + int(worst.metrics["least_refuse"]) == 16
    assert float(worst.metrics["token_passes"]) > float(mean.metrics["token_passes"])


def test_ratings_by_tasks_are_compared_in_units_of_their_own_spread() -> None:
    by_task = {"steep": np.array([30.0, -10.0, 20.0]), "gentle": np.array([1.0, 1.0, -4.0])}  # spreads 20 and 2, on average 11
    found, metrics = least(by_task)
    np.testing.assert_allclose(found, [5.5, -5.5, -22.0])
    assert metrics == {
        "combine": "worst",
        "mean_abs_rating_steep": 20.0,
        "least_steep": 1,
        "mean_abs_rating_gentle": 2.0,
        "least_gentle": 2,
    }
    with pytest.raises(ShedError, match="^by the dev task flat all ratings are 0") as error:
        least({"steep": np.ones(3), "flat": np.zeros(3)})
    assert error.value.setting == "combination of dev tasks"


def test_ratings_by_the_worst_task_go_on_where_they_were_stopped_and_are_not_those_by_mean(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = rated(tiny_model, "worst")
    kept, calls = RatedBlocks(tmp_path, {}), []
    losses: Callable[..., np.ndarray] = rater.losses
    monkeypatch.setattr(ratings, "BLOCK", 16)
    monkeypatch.setattr(rater, "losses", lambda *own: (calls.append(1), losses(*own))[1])
    monkeypatch.setattr(RatedBlocks, "forget", lambda own: None)  # as if it had been stopped at the very end
    rated(tiny_model, "mean", kept)
    rated(tiny_model, "worst", kept)
    assert len(calls) == 2
    monkeypatch.setattr(CoalitionTrainer, "adamw_tuning", property(lambda own: pytest.fail("the warm start was made again")))
    _, again = rated(tiny_model, "worst", kept)
    assert len(calls) == 2
    np.testing.assert_array_equal(again.ratings, whole.ratings)
    assert {**again.metrics, "seconds": 0} == {**whole.metrics, "seconds": 0}


def test_shapley_scores_by_the_least_gain_are_of_another_game_in_which_what_helps_both_is_best(
    tiny_model: str, tmp_path: Path
) -> None:
    pool = pool_of(("agrees", "both", "neither"), 2)
    clusters = pd.DataFrame({"cluster": [0, 1, 2] * 2, "proxy": True})
    keys, best = {}, {}
    ways: tuple[Combine, ...] = ("mean", "worst")
    for combine in ways:
        setting = Setting(ModelSpec(tiny_model, "plain", 200), {}, "dev_loss", replace(REGIME, batch_size=6), SHARES, combine)
        with open_game(clusters, pool, DEV, setting, tmp_path / "ledger.sqlite") as game:
            exact = spend(Exact(), game.play, Budget()).estimate
        keys[combine], best[combine] = game.play.key, int(exact.scores.argmax())
        assert exact.scores.sum() == pytest.approx(exact.v_all - exact.v_none)
    assert best == {"mean": 0, "worst": 1}
    assert exact.v_none == 0.0  # nothing has gained anything yet
    assert exact.v_all > 0
    assert keys["mean"] != keys["worst"]


def test_a_mean_is_described_as_it_was_before_there_was_a_worst(tiny_model: str) -> None:
    model = ModelSpec(tiny_model, "plain", 200)
    described = Setting(model, {}, "dev_loss", REGIME, SHARES).description()
    assert set(described) == {"model", "manifest", "utility", "regime", "tasks"}
    assert Setting(model, {}, "dev_loss", REGIME, SHARES, "worst").description() == {**described, "combine": "worst"}
