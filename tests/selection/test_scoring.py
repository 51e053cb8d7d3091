"""From clusters and records to a table of scores, through the ledger."""

import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from shed.common.atomic_io import write_json
from shed.common.errors import ShedError
from shed.data.records import Record
from shed.engine.regime import Regime
from shed.engine.utility import UtilityKind
from shed.models.specs import LoraSettings, ModelSpec
from shed.selection.scoring import ClusterScores, score_clusters
from shed.valuation.budget import Budget
from shed.valuation.estimate import Estimate, Estimator
from shed.valuation.estimators.metagradient import Metagradient
from shed.valuation.estimators.removal import Removal
from shed.valuation.estimators.shapiq_adapter import ShapiqAdapter
from shed.valuation.game import DifferentiableGame
from shed.valuation.proxy_game import Setting, open_game

REGIME = Regime(
    lora=LoraSettings(r=2, alpha=4, modules=["q_proj", "down_proj"], depth=1),
    optimizer="adamw",
    lr=0.01,
    momentum=0.9,
    batch_size=4,
    epochs=1,
    schedule="constant",
    warmup=0.0,
    seed=3,
)


REMOVAL, UNLIMITED = Removal(n=1, k=2, seed=0), Budget()


def scored(
    tiny_model: str,
    records: list[Record],
    ledger: Path,
    regime: Regime = REGIME,
    estimator: Estimator = REMOVAL,
    on_divergence: Literal["stop", "skip"] = "stop",
    utility: UtilityKind = "dev_loss",
    budget: Budget = UNLIMITED,
    ratings: list[float] | None = None,
) -> ClusterScores:
    clusters = pd.DataFrame({"cluster": [0, 1, 2, 3] * 2, "proxy": [True] * 6 + [False] * 2})
    if ratings:
        clusters = clusters.assign(rating=ratings)
    setting = Setting(ModelSpec(tiny_model, "plain", 200), {"name": "tiny"}, utility, regime)
    with open_game(clusters, records[:8], records[8:], setting, ledger) as game:
        return score_clusters(game, estimator, budget, on_divergence, clusters)


class AllDiverged:
    """An estimator that goes on where the tuning on all players diverged, as metagradient does."""

    def rounds(self, game: DifferentiableGame) -> Iterator[Estimate]:
        yield Estimate(np.arange(4.0), np.ones(4), -1.0, np.nan, dof=1)


def test_what_diverged_is_unknown_in_the_metrics_and_two_repetitions_make_no_sign_certain(
    tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    result = scored(tiny_model, records, tmp_path / "ledger.sqlite", estimator=AllDiverged())
    assert (result.metrics["v_none"], result.metrics["v_all"], result.metrics["v_all_minus_v_none"]) == (-1.0, None, None)
    write_json(tmp_path / "score.json", result.metrics)  # which refuses what is not finite
    assert result.table["shapley_sign_certainty"].max() == pytest.approx(0.9, abs=0.01)  # of 3 standard errors


def test_a_table_best_first_whose_scores_sum_to_what_tuning_changed(
    tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    result = scored(tiny_model, records, tmp_path / "ledger.sqlite")
    table = result.table
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["score"].is_monotonic_decreasing
    assert table.set_index("cluster")["proxies"].map(len).to_dict() == {0: 2, 1: 2, 2: 1, 3: 1}
    assert table["size"].tolist() == [2, 2, 2, 2]
    assert result.metrics["shapley_sum"] == pytest.approx(result.metrics["v_all_minus_v_none"])
    assert result.metrics["evaluations"] <= 2 + 2 * 3  # type: ignore[operator]
    again = scored(tiny_model, records, tmp_path / "ledger.sqlite")
    assert again.metrics == result.metrics  # costs too: they are those of the evaluations used, whenever they were made


def test_gradients_score_each_proxy_and_cost_nothing_when_found_again(
    tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    regime = dataclasses.replace(REGIME, optimizer="sgd", lr=0.1)
    result, again = (
        scored(tiny_model, records, tmp_path / "l.sqlite", regime, Metagradient(seed=0), budget=Budget(evaluations=7))
        for _ in range(2)
    )
    np.testing.assert_allclose(result.table["proxy_scores"].map(sum), result.table["score"])
    assert result.metrics["shapley_sum"] == pytest.approx(result.metrics["v_all_minus_v_none"], rel=0.2)
    assert result.metrics["ended"].startswith("the budget of 7 evaluations does not cover the next ones")  # type: ignore[union-attr]
    assert result.metrics["gradient_runs"] == 5  # two pairs, and the check's near weighting
    assert again.metrics == result.metrics


def test_with_ratings_a_clusters_score_is_their_mean_and_the_shapley_scores_stand_beside_it(
    tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    plain = scored(tiny_model, records, tmp_path / "l.sqlite").table.set_index("cluster")
    found = scored(tiny_model, records, tmp_path / "l.sqlite", ratings=[0.1, 0.5, 0.2, 0.0, 0.3, 0.5, 0.2, 0.8])
    assert found.table["cluster"].tolist() == [1, 3, 0, 2]
    assert found.table["rank"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(found.table["score"], [0.5, 0.4, 0.2, 0.2])
    np.testing.assert_allclose(found.table["stderr"], [0.0, 0.4, 0.1, 0.0], atol=1e-12)
    table = found.table.set_index("cluster")
    np.testing.assert_allclose(table["shapley"], plain["score"].reindex(table.index))
    assert -1 <= float(found.metrics["proxies_against_ratings"] or 0) <= 1


DIVERGING = dataclasses.replace(REGIME, optimizer="sgd", lr=1e20)


@pytest.mark.parametrize("name", ["KernelSHAP", "PermutationSamplingSV"])
def test_an_approximator_of_shapiq_plays_the_game_of_clusters(
    tiny_model: str, records: list[Record], tmp_path: Path, name: str
) -> None:
    found = scored(tiny_model, records, tmp_path / "ledger.sqlite", estimator=ShapiqAdapter(name, 20, seed=0))
    assert found.metrics["evaluations"] <= 20  # type: ignore[operator]
    assert found.table["score"].notna().all()


def test_a_diverged_coalition_is_named_and_what_was_measured_stays(
    tiny_model: str, records: list[Record], tmp_path: Path
) -> None:
    with pytest.raises(
        ShedError,
        match="coalition of clusters 0, 1, 2, 3 diverged, .*; what was measured stays.*skip what diverges, or lower the learning rate",
    ) as error:
        scored(tiny_model, records, tmp_path / "ledger.sqlite", DIVERGING)
    assert error.value.setting == "learning rate"


def test_when_all_diverge_there_is_nothing_to_skip_to(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    with pytest.raises(ShedError, match=r"all \d+ tunings .* diverged; lower the learning rate"):
        scored(tiny_model, records, tmp_path / "ledger.sqlite", DIVERGING, on_divergence="skip")


@pytest.mark.parametrize("kind", ["choice_loss", "accuracy"])
def test_utilities_of_multiple_choice(tiny_model: str, records: list[Record], tmp_path: Path, kind: UtilityKind) -> None:
    metrics = scored(tiny_model, records, tmp_path / "ledger.sqlite", utility=kind).metrics
    assert metrics["unit"] == {"choice_loss": "nats per question", "accuracy": "share of questions"}[kind]
    if kind == "accuracy":
        assert metrics["v_all"] in {0.0, 0.25, 0.5, 0.75, 1.0}
    assert metrics["shapley_sum"] == pytest.approx(metrics["v_all_minus_v_none"])


def test_a_dev_set_with_other_options_is_another_game(tiny_model: str, records: list[Record], tmp_path: Path) -> None:
    found = scored(tiny_model, records, tmp_path / "l.sqlite", utility="choice_loss").metrics["v_none"]
    others = [*records[:8], *(dataclasses.replace(record, choices=(record.choices[0], "yes")) for record in records[8:])]
    assert [record.id for record in others] == [record.id for record in records]
    assert scored(tiny_model, others, tmp_path / "l.sqlite", utility="choice_loss").metrics["v_none"] != found


def test_other_code_is_another_game(
    tiny_model: str, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for digest, games in (("one", 1), ("one", 1), ("another", 2)):
        monkeypatch.setattr("shed.valuation.proxy_game.code_digest", lambda *modules, digest=digest: digest)
        scored(tiny_model, records, tmp_path / "ledger.sqlite")
        with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
            assert connection.execute("SELECT COUNT(*) FROM games").fetchone() == (games,)
