"""What studies share: a run is made once for all that ask for the same, and regimes differ in what is asked for alone."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.shared import games, runs
from experiments.shared.games import changed, draw_members, scoring_regime
from shed.common.atomic_io import write_json, write_jsonl
from shed.data.records import Record
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

    def finetune(rows: Sequence[Record], *about: Any) -> None:
        found.append({"rows": [record.id for record in rows], "seed": about[1].seed, "lr": about[1].lr})

    def evaluate(
        spec: ModelSpec,
        adapter: Path | None,
        splits: Mapping[str, Sequence[Record]],
        limit: int | None,
        batch_size: int,
        named: Sequence[str],
    ) -> pd.DataFrame:
        tuned = found.pop() if adapter else {"rows": None}
        found.append(
            tuned | {"splits": {split: len(own) for split, own in splits.items()}, "limit": limit, "named": list(named)}
        )
        return pd.DataFrame({"task": ["test_a"], "run": [len(found)]})

    monkeypatch.setattr(runs, "finetune", finetune)
    monkeypatch.setattr(runs, "evaluate", evaluate)
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": "a model"})
    write_jsonl("data/prepared/pool.jsonl", (record.to_row() for record in records))
    return found


def test_a_run_is_made_once_for_all_that_ask_for_the_same(
    params: Params, records: list[Record], made: list[dict[str, Any]]
) -> None:
    ids, test = [record.id for record in records[:3]], {"test": records[3:6]}
    first = runs.tuned_items(params, SPEC, ids, 7, test)
    assert made == [
        {"rows": ids, "seed": 7, "lr": params.finetune.lr, "splits": {"test": 3}, "limit": params.evaluate.limit, "named": []}
    ]
    pd.testing.assert_frame_equal(runs.tuned_items(params, SPEC, ids, 7, test), first)
    other_seed = params.model_copy(update={"finetune": params.finetune.model_copy(update={"seed": 9})})
    runs.tuned_items(other_seed, SPEC, ids, 7, test)  # the seed is that of the run
    runs.tuned_items(params, dataclasses.replace(SPEC, folder="/project/a model"), ids, 7, test)  # as a copy of it finds it
    assert len(made) == 1


def test_whatever_changes_a_run_makes_another(params: Params, records: list[Record], made: list[dict[str, Any]]) -> None:
    ids, test = [record.id for record in records[:3]], {"test": records[3:6]}
    few = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"limit": 2})})
    fast = params.model_copy(update={"finetune": params.finetune.model_copy(update={"lr": 0.5})})
    asked: list[tuple[Any, ...]] = [
        (params, SPEC, ids, 7, test),
        (params, SPEC, ids[::-1], 7, test),
        (params, SPEC, None, 7, test),
        (params, SPEC, ids, 8, test),
        (params, SPEC, ids, 7, {"dev": test["test"]}),
        (params, SPEC, ids, 7, test, ["a task"]),
        (params, ModelSpec("a model", "chat", 64), ids, 7, test),
        (params, ModelSpec("a model", "plain", 64, "a" * 40), ids, 7, test),
        (few, SPEC, ids, 7, test),
        (fast, SPEC, ids, 7, test),
    ]
    for _ in range(2):
        for arguments in asked:
            runs.tuned_items(*arguments)
    assert len(made) == len(asked)
    assert made[2]["rows"] is None
    assert made[5]["named"] == ["a task"]


def test_a_task_file_that_changes_makes_another_run(params: Params, records: list[Record], made: list[dict[str, Any]]) -> None:
    file = Path("task.yaml")
    for text in ("one", "two", "one"):
        file.write_text(text)
        runs.tuned_items(params, SPEC, None, 0, {"test": records}, [str(file)])
    assert len(made) == 2


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


def test_studies_do_not_write_the_ledger_of_the_pipeline() -> None:
    from stages.shared.games import LEDGER

    assert games.LEDGER != LEDGER
