"""The verdict: what it says of a selection against its controls, and what a metrics file holds of it.

How often it is right, and how seldom it calls random rows better, is simulated in `test_comparison.py`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shed.common.atomic_io import write_json
from shed.evaluation.comparison import Measure, luck_of_a_draw
from shed.evaluation.verdict import Against, Control, Gain, Verdict, gains


def items(shift: Mapping[str, float], seeds: int = 3, noise: float = 0.1, options: bool = True, seed: int = 0) -> pd.DataFrame:
    """The items of runs whose loss on each task, in nats a token, is 3 plus a shift."""
    rng, hardness = np.random.default_rng(seed), np.random.default_rng(0).normal(0, 1, 30)
    rows = []
    for run in range(1, seeds + 1):
        for task, by in shift.items():
            nats = 3 + by + hardness + rng.normal(0, noise, 30)
            own = pd.DataFrame({"seed": run, "task": task, "id": [f"{i:02}" for i in range(30)], "nats": nats, "tokens": 1.0})
            has_options = options and task != "test_free"
            options_alone = {"correct": (nats < 3) * 1.0, "choice_nats": nats / 4} if has_options else {}
            free_alone = {} if has_options else {"written": np.where(np.arange(30) < 20, np.clip(1 - nats / 8, 0, 1), np.nan)}
            rows.append(own.assign(**dict.fromkeys(("correct", "choice_nats", "written"), np.nan) | options_alone | free_alone))
    return pd.concat(rows, ignore_index=True)


def tasks(a: float = 0.0, b: float = 0.0, **more: float) -> dict[str, float]:
    return {"test_a": a, "test_b": b, "dev_a": a, **more}


def verdict(selection: pd.DataFrame, **controls: pd.DataFrame) -> Verdict:
    names: list[Control] = ["random_rows", "random_tokens", "all_rows"]
    against = {
        one: Against(6, 60, 0.1, gains(selection, controls[one], drawn=one != "all_rows")) for one in names if one in controls
    }
    return Verdict(range(1, 4), 6, 60, against)


def test_a_selection_with_a_lower_loss_than_random_rows_is_better() -> None:
    found = verdict(
        items(tasks(-0.3, -0.3)), random_rows=items(tasks(), seed=1), random_tokens=items(tasks(-0.3, -0.3), seed=2)
    )
    assert found.headline("random_rows").gain == pytest.approx(0.3, abs=0.05)
    assert found.to_metrics()["better"] is True
    assert "is better than random rows of the same number by 0." in found.sentence
    assert "not shown to be better than random rows with as many response tokens (gain " in found.sentence
    assert "worse" not in found.sentence
    assert (
        found.meaning == "For tasks like those of test, tune on this selection rather than on random rows of the same number."
    )


def test_a_selection_with_a_higher_loss_is_worse() -> None:
    found = verdict(items(tasks(0.3, 0.3)), random_rows=items(tasks(), seed=1))
    assert found.sentence.startswith("On test, the selection is worse than random rows of the same number by 0.")
    assert found.to_metrics()["better"] is False
    assert found.headline("random_rows").worse
    assert "do not tune on this selection: random rows of the same number are better" in found.meaning


def test_a_selection_like_random_rows_is_not_shown_to_be_better() -> None:
    found = verdict(items(tasks()), random_rows=items(tasks(), seed=1))
    assert found.sentence.startswith("On test, the selection is not shown to be better than random rows of the same number (")
    assert found.to_metrics()["better"] is False
    assert not found.headline("random_rows").worse
    found = Verdict(
        [1, 2, 3], 6, 60, {"random_rows": Against(6, 60, 0.1, {"test": {"all": {"loss": Gain(0.01, -0.37, 0.39)}}})}
    )
    assert found.meaning == (
        "So this run gives no reason to prefer this selection to random rows of the same number: on test it may be anything from "
        "0.37 worse to 0.39 better, and a true gain below about 0.38 would not show in a run of this size. More seeds or more "
        "test records would narrow that, but not make it better if the true gain is about 0."
    )


@pytest.mark.parametrize(("draws", "quantile"), [(3, 4.302653), (4, 3.182446), (6, 2.570582)])
def test_the_luck_of_a_draw_is_half_a_prediction_interval(draws: int, quantile: float) -> None:
    """Student's quantile at 97.5 %, from a table, with a degree of freedom less than there are draws."""
    assert luck_of_a_draw(np.array([0.2]), draws) == pytest.approx([0.2 * quantile * (1 + 1 / draws) ** 0.5], rel=1e-6)


def test_what_a_lucky_draw_may_have_is_not_called_better() -> None:
    """Draws of random rows differ by 0.1 under the three seeds; the selection is steadily 0.2 better than their mean."""
    draws = items(tasks(), noise=0.01, seed=1)
    draws["nats"] += draws["seed"].map({1: -0.1, 2: 0.0, 3: 0.1})
    selection = items(tasks(-0.2, -0.2), noise=0.01).assign(
        nats=lambda own: own["nats"] + own["seed"].map({1: -0.05, 3: 0.05}).fillna(0)
    )
    found, whole = verdict(selection, random_rows=draws), verdict(selection, all_rows=draws)
    gain = found.headline("random_rows")
    assert gain.luck == pytest.approx(4.303 * 0.1 * (4 / 3) ** 0.5, abs=0.03)  # Student's t with 2 degrees of freedom
    assert gain.low > 0
    assert not gain.better
    assert "not shown to be better than random rows of the same number (gain 0.20 [0.0" in found.claim
    assert found.claim.endswith("nats a response token, which a draw may have by luck).")
    assert (
        "may by chance be up to 0.49 better or worse than they are on average, and 0.20 is no more than that" in found.meaning
    )
    assert found.to_metrics()["better"] is False
    assert whole.headline("all_rows").better  # which is no draw
    assert "better than the whole pool by 0.20" in whole.claim


def test_what_would_narrow_an_interval_is_what_makes_it_wide() -> None:
    def meaning(noise: float, of_seeds: tuple[float, float, float]) -> str:
        own = items(tasks(), noise=noise).assign(
            nats=lambda rows: rows["nats"] + rows["seed"].map(dict(enumerate(of_seeds, 1)))
        )
        return verdict(own, random_rows=items(tasks(), noise=noise, seed=1)).meaning

    assert "More seeds would narrow that most, but" in meaning(0.01, (-0.5, 0.0, 0.5))
    assert "More test records would narrow that most, but" in meaning(1.0, (0.0, 0.0, 0.0))


def test_what_is_said_word_by_word() -> None:
    by_task: dict[str, dict[Measure, Gain]] = {
        "a": {"loss": Gain(0.5, 0.4, 0.6)},
        "b": {"loss": Gain(-0.126, -0.2, -0.05)},
        "c": {"loss": Gain(-0.1, -0.3, 0.1)},
    }
    rows = Against(6, 60, 0.1, {"test": {"all": {"loss": Gain(0.254, 0.101, 0.4)}, **by_task}, "dev": {}})
    tokens = Against(7, 61, 0.1, {"test": {"all": {"loss": Gain(0.02, -0.104, 0.144)}}, "dev": {}})
    whole = Against(60, 600, 0.1, {"test": {"all": {"loss": Gain(-0.5, -0.7, -0.3)}}, "dev": {}})
    found = Verdict([1, 2, 3], 6, 60, {"random_rows": rows, "random_tokens": tokens, "all_rows": whole})
    assert found.sentence == (
        "On test, the selection is better than random rows of the same number by 0.25 nats a response token [0.10, 0.40], "
        "and not shown to be better than random rows with as many response tokens "
        "(gain 0.02 [-0.10, 0.14] nats a response token), "
        "and worse than the whole pool by 0.50 nats a response token [0.30, 0.70]; "
        "on b it is worse by 0.13 nats a response token [0.05, 0.20]."
    )
    assert found.claim == (
        "On test, the selection is better than random rows of the same number by 0.25 nats a response token [0.10, 0.40]."
    )
    assert found.also == (
        "It is not shown to be better than random rows with as many response tokens "
        "(gain 0.02 [-0.10, 0.14] nats a response token). "
        "It is worse than the whole pool by 0.50 nats a response token [0.30, 0.70]. "
        "On b it is worse by 0.13 nats a response token [0.05, 0.20]."
    )


def test_a_task_on_which_it_is_worse_is_named_though_the_mean_is_better() -> None:
    found = verdict(items(tasks(-1.0, 0.4)), random_rows=items(tasks(), seed=1))
    assert "is better than random rows" in found.claim
    assert "; on b it is worse by 0.4" in found.sentence
    assert found.also.startswith("On b it is worse by 0.4")
    assert "on a it" not in found.sentence


def test_tasks_without_options_have_no_accuracy() -> None:
    shift, same = tasks(-0.3, -0.3, test_free=-0.3), tasks(test_free=0.0)
    found = gains(items(shift), items(same, seed=1))
    assert set(found) == {"test", "dev"}
    assert set(found["test"]) == {"all", "a", "b", "free"}
    assert set(found["test"]["a"]) == {"loss", "choice_loss", "accuracy"}
    assert set(found["test"]["all"]) == {"loss", "choice_loss", "accuracy", "generation"}
    assert set(found["test"]["free"]) == {"loss", "generation"}
    none = gains(items(shift, options=False), items(same, options=False, seed=1))
    assert all(set(own) == {"loss", "generation"} for by_task in none.values() for own in by_task.values())


def test_gains_in_what_is_written_stand_on_dev_and_test_by_task_and_pooled_with_intervals() -> None:
    shift, same = tasks(test_free=-0.8), tasks(test_free=0.0)
    found = gains(items(shift), items(same, seed=1))["test"]
    assert found["free"]["generation"].better
    assert found["free"]["generation"].gain == pytest.approx(0.1, abs=0.02)  # 0.8 nats of 8
    assert found["all"]["generation"] == found["free"]["generation"]  # the other tasks have options
    on_dev = gains(items(tasks(-0.8), options=False), items(tasks(), options=False, seed=1))["dev"]
    assert on_dev["all"]["generation"].better


def test_a_task_that_has_no_loss_is_in_the_verdict_and_its_sentence_is_about_the_others() -> None:
    def without_loss(items: pd.DataFrame) -> pd.DataFrame:
        written = items["task"] == "test_free"
        items.loc[written, ["nats", "tokens"]] = np.nan
        return items

    shift, same = tasks(0.3, 0.3, test_free=0.8), tasks(test_free=0.0)
    found = verdict(without_loss(items(shift)), random_rows=without_loss(items(same, seed=1)))
    assert set(found.against["random_rows"].gains["test"]["free"]) == {"generation"}
    assert found.against["random_rows"].gains["test"]["free"]["generation"].worse
    assert "worse than random rows" in found.sentence
    assert "on free" not in found.sentence


def test_a_source_that_is_called_all_is_not_taken_for_the_mean() -> None:
    found = gains(items(tasks(-0.2, -0.2, test_all=-0.8)), items(tasks(test_all=0.0), seed=1))
    assert found["test"]["all"]["loss"].gain == pytest.approx(0.4, abs=0.05)
    assert found["test"]["test_all"]["loss"].gain == pytest.approx(0.8, abs=0.05)


def test_more_accuracy_is_a_gain() -> None:
    found = gains(items(tasks(-1.0, -1.0)), items(tasks(), seed=1))["test"]["all"]
    assert found["accuracy"].better
    assert found["choice_loss"].better


def test_a_metrics_file_holds_all_of_it_and_no_nan(tmp_path: Path) -> None:
    shift, same = tasks(-0.3, -0.3, test_free=-0.3), tasks(test_free=0.0)
    found = verdict(items(shift), random_rows=items(same, seed=1), random_tokens=items(shift, seed=2))
    write_json(tmp_path / "verdict.json", found.to_metrics())

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    read = json.loads((tmp_path / "verdict.json").read_text(), parse_constant=refuse)
    assert (read["sentence"], read["better"], read["seeds"], read["rows"], read["response_tokens"]) == (
        found.sentence,
        True,
        3,
        6,
        60,
    )
    assert set(read["random_rows"]) == {"rows", "response_tokens", "shared", "test", "dev"}
    loss = read["random_rows"]["test"]["all"]["loss"]
    assert loss["low"] < loss["gain"] < loss["high"]
    assert loss["gain"] == pytest.approx(found.headline("random_rows").gain, abs=1e-6)
    assert set(read["random_rows"]["test"]["free"]) == {"loss", "generation"}


def test_runs_that_are_the_same_gain_nothing_and_are_not_better() -> None:
    same = items(tasks())
    found = verdict(same, random_rows=same).headline("random_rows")
    assert (found.gain, found.low, found.high) == (0.0, 0.0, 0.0)
    assert "not shown to be better" in verdict(same, random_rows=same).sentence
