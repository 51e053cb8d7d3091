"""What studies share: runs are those of the pipeline's ledger, and regimes differ in what is asked for alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.shared import games
from experiments.shared.by_ratings import scores_by_ratings
from experiments.shared.games import changed, draw_members, scoring_regime
from experiments.shared.runs import tuned_items
from shed.common.atomic_io import write_json, write_jsonl
from shed.common.errors import ShedError
from shed.data.records import Record
from shed.evaluation import run_ledger
from shed.evaluation.generation import Writing
from shed.models.specs import ModelSpec
from shed.params import Params, load_params

SPEC = ModelSpec("a model", "plain", 64)


@pytest.fixture
def params(project_root: Path) -> Params:
    return load_params(project_root / "params.yaml")


@pytest.fixture
def made(tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each run that is really made is tuned and evaluated on."""
    found: list[dict[str, Any]] = []

    def finetune(rows: Sequence[Record], model: ModelSpec, tuning: Any, *about: Any) -> None:
        if tuning.lr == 0.5:
            raise ShedError("the loss is not finite", "learning rate")
        found.append({"rows": [record.id for record in rows], "seed": tuning.seed, "lr": tuning.lr})

    def evaluate(
        model: ModelSpec,
        adapter: Path | None,
        splits: Mapping[str, Sequence[Record]],
        limit: int | None,
        batch_size: int,
        named: Sequence[str],
        writing: Writing | None,
    ) -> pd.DataFrame:
        tuned = found.pop() if adapter else {"rows": None}
        of_splits = {split: len(own) for split, own in splits.items()}
        found.append(tuned | {"splits": of_splits, "limit": limit, "named": list(named), "writing": writing})
        return pd.DataFrame({"task": ["test_a"], "run": [len(found)]})

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": "a model"})
    write_jsonl("data/prepared/pool.jsonl", (record.to_row() for record in records))
    return found


def test_a_run_is_of_rows_of_the_pool_as_params_tune_and_evaluate(
    params: Params, records: list[Record], made: list[dict[str, Any]]
) -> None:
    ids, test = [record.id for record in records[2::-1]], {"test": records[3:6]}
    first = tuned_items(params, SPEC, ids, 7, test, ["a task"])
    of_params = {"lr": params.finetune.lr, "limit": params.evaluate.limit, "writing": Writing(20, 64)}
    assert made == [{"rows": ids, "seed": 7, "splits": {"test": 3}, "named": ["a task"]} | of_params]
    other_seed = params.model_copy(update={"finetune": params.finetune.model_copy(update={"seed": 9})})
    pd.testing.assert_frame_equal(tuned_items(other_seed, SPEC, ids, 7, test, ["a task"]), first)  # its seed is its own
    assert len(made) == 1


def test_a_run_of_no_rows_is_of_the_untuned_model(params: Params, records: list[Record], made: list[dict[str, Any]]) -> None:
    Path("data/prepared/pool.jsonl").unlink()
    tuned_items(params, SPEC, None, 7, {"test": records})
    assert made[0]["rows"] is None


def test_a_study_whose_tuning_breaks_names_the_key_of_the_final_tuning(
    params: Params, records: list[Record], made: list[dict[str, Any]]
) -> None:
    fast = params.model_copy(update={"finetune": params.finetune.model_copy(update={"lr": 0.5})})
    with pytest.raises(ShedError, match=r"not finite \(finetune\.lr in params\.yaml\)$"):
        tuned_items(fast, SPEC, [records[0].id], 7, {"test": records})


def test_changes_of_a_regime_may_be_of_its_lora_settings(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_root)
    default, other = scoring_regime(), scoring_regime(depth=4, r=2, lr=0.5, seed=9)
    assert (other.lora.depth, other.lora.r, other.lr, other.seed) == (4, 2, 0.5, 9)
    assert changed(other, depth=default.lora.depth, r=default.lora.r, lr=default.lr, seed=default.seed) == default
    with pytest.raises(TypeError):
        scoring_regime(tuning="slow")


def test_members_are_drawn_from_what_is_not_a_proxy() -> None:
    clusters = pd.DataFrame({"cluster": [0, 0, 0, 0, 1, 1], "proxy": [True, False, False, False, True, False]})
    drawn = draw_members(clusters, 2, seed=1)
    assert not (drawn & clusters["proxy"]).any()
    assert clusters["cluster"][drawn].tolist() == [0, 0, 1]
    assert (draw_members(clusters, 2, seed=1) == drawn).all()


def test_scores_by_ratings_are_of_the_clusters_that_have_rows() -> None:
    clusters = pd.DataFrame({"cluster": [0, 0, 2, 2, 3], "rating": [0.1, 0.3, 0.5, 0.7, 0.4]})
    shapley = pd.DataFrame({"cluster": range(4), "shapley": [1.0, 2.0, 3.0, 4.0]})
    found = scores_by_ratings(clusters, shapley)
    assert found["cluster"].tolist() == [2, 3, 0]
    assert found["score"].tolist() == pytest.approx([0.6, 0.4, 0.2])
    assert found["shapley"].tolist() == [3.0, 4.0, 1.0]


def test_studies_do_not_write_the_ledger_of_the_pipeline() -> None:
    from stages.shared.games import LEDGER

    assert games.LEDGER != LEDGER
