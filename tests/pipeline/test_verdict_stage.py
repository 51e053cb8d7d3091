"""The stage `verdict`: what it says without a comparison, what it compares, and which runs it pays for."""

import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_project import Project, stages_run

from shed.common.atomic_io import read_json, write_json, write_jsonl, write_table
from shed.common.errors import ShedError
from shed.data.records import Record
from shed.evaluation import run_ledger
from shed.evaluation.summaries import headline, summarise
from shed.params import Params, load_params
from stages import verdict


@pytest.fixture
def params(project_root: Path, tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> Params:
    """The project's params, in a folder with what the stage reads: a pool of ten rows, which are dev and test, too."""
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": "packaged/smollm2-135m-instruct"})
    for split in ("pool", "dev", "test"):
        write_jsonl(f"data/prepared/{split}.jsonl", (record.to_row() for record in records[:10]))
    measured(records)
    return load_params(project_root / "params.yaml")


@pytest.fixture
def tuned_on(params: Params, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """The rows and the seed of each run that is made. It gains half a nat a token if the first three records are in it."""
    made: list[tuple[list[str], int]] = []

    def finetune(rows: Sequence[Record], _: Any, settings: Any, *about: Any) -> None:
        made.append(([record.id for record in rows], settings.seed))

    def evaluate(_: Any, adapter: Path | None, splits: Mapping[str, Sequence[Record]], *about: Any) -> pd.DataFrame:
        ids, seed = made[-1]
        rng, good = np.random.default_rng(seed), {record.id for record in splits["test"][:3]}
        items = pd.DataFrame(
            [(f"{split}_{one.source}", one.id, 1.0, 3.0, 1.0, 1.0) for split, own in splits.items() for one in own],
            columns=["task", "id", "correct", "nats", "tokens", "choice_nats"],
        )
        return items.assign(nats=3 - 0.5 * (good <= set(ids)) + rng.normal(0, 0.01, len(items)))

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    return made


def measured(records: Sequence[Record], too_long: Sequence[Record] = ()) -> None:
    """The lengths of the pool's ten rows."""
    ids, cut = [record.id for record in records[:10]], {record.id for record in too_long}
    tokens = [1 + len(record.prompt) // 10 for record in records[:10]]
    lengths = pd.DataFrame({"id": ids, "tokens": 99, "response_tokens": tokens, "too_long": [id in cut for id in ids]})
    write_table("data/lengths.parquet", lengths)


def select(rows: Sequence[Record]) -> None:
    write_table("data/selection.parquet", pd.DataFrame({"id": [record.id for record in rows]}))


def told(params: Params, **settings: Any) -> Any:
    verdict.run(params.model_copy(update={"verdict": params.verdict.model_copy(update=settings)}))
    return read_json("metrics/verdict.json")


def test_without_seeds_it_says_that_nothing_was_tested(params: Params, records: list[Record]) -> None:
    select(records[:3])
    assert told(params, seeds=0) == {"sentence": verdict.OFF, "seeds": 0}
    assert "verdict.seeds is 0" in verdict.OFF


def test_the_whole_pool_has_nothing_to_be_compared_with(params: Params, records: list[Record]) -> None:
    select(records[:10])
    assert told(params, seeds=3) == {"sentence": verdict.WHOLE, "seeds": 0}
    assert "all that may be selected" in verdict.WHOLE


def test_the_selection_and_its_controls_are_tuned_under_the_same_seeds(
    params: Params, records: list[Record], tuned_on: list[tuple[list[str], int]]
) -> None:
    select(records[:3])
    found = told(params, seeds=3)
    assert [run for run in tuned_on if run[0] == [record.id for record in records[:3]]] == [
        ([record.id for record in records[:3]], seed) for seed in (1, 2, 3)
    ]
    assert {seed for _, seed in tuned_on} == {1, 2, 3}
    assert found["seeds"] == found["rows"] == found["random_rows"]["rows"] == 3
    assert found["better"] is True
    assert found["sentence"].startswith("On test, the selection is better than random rows of the same number by ")
    drawn = [ids for ids, _ in tuned_on if len(ids) == 3][3:6]
    own = {record.id for record in records[:3]}
    assert found["random_rows"]["shared"] == pytest.approx(sum(len(own & set(ids)) for ids in drawn) / 9, abs=1e-6)
    assert "all_rows" not in found
    assert set(found["random_rows"]["test"]) == {"all", "counting"}


def test_controls_are_drawn_from_what_may_be_selected(
    params: Params, records: list[Record], tuned_on: list[tuple[list[str], int]]
) -> None:
    measured(records, too_long=records[5:10])
    select(records[:3])
    assert told(params, seeds=3)["random_rows"]["shared"] > 0.3
    assert {id for ids, _ in tuned_on for id in ids} == {record.id for record in records[:5]}
    asked = params.model_copy(update={"sample": params.sample.model_copy(update={"too_long": True})})
    told(asked, seeds=3)
    assert {id for ids, _ in tuned_on for id in ids} & {record.id for record in records[5:10]}
    select(records[:5])
    assert told(params, seeds=3) == {"sentence": verdict.WHOLE, "seeds": 0}


def test_a_budget_of_tokens_is_judged_by_random_rows_with_as_many_tokens(
    params: Params, records: list[Record], tuned_on: list[tuple[list[str], int]]
) -> None:
    select(records[:3])
    by_tokens = params.model_copy(update={"sample": params.sample.model_copy(update={"budget": "tokens"})})
    found = told(by_tokens, seeds=3)
    assert found["sentence"].startswith("On test, the selection is better than random rows with as many response tokens by ")
    assert found["random_tokens"] == told(params, seeds=3)["random_tokens"]


def test_the_whole_pool_may_be_a_control_too(
    params: Params, records: list[Record], tuned_on: list[tuple[list[str], int]]
) -> None:
    select(records[:3])
    found = told(params, seeds=3, full=True)
    assert found["all_rows"]["rows"] == 10
    assert found["all_rows"]["shared"] == pytest.approx(0.3)
    assert sum(len(ids) == 10 for ids, _ in tuned_on) == 3
    assert found["all_rows"]["test"]["all"]["loss"]["gain"] == pytest.approx(0, abs=0.01)


def test_another_selection_pays_for_its_own_runs_and_for_controls_with_other_tokens_alone(
    params: Params, records: list[Record], tuned_on: list[tuple[list[str], int]]
) -> None:
    select(records[:3])
    first = told(params, seeds=3)
    paid = len(tuned_on)
    assert told(params, seeds=3) == first
    assert len(tuned_on) == paid
    select(records[3:6])  # as long as the first
    assert told(params, seeds=3)["response_tokens"] == first["response_tokens"]
    assert [ids for ids, _ in tuned_on[paid:]] == [[record.id for record in records[3:6]]] * 3
    more = len(tuned_on)
    told(params, seeds=5)
    assert {seed for _, seed in tuned_on[more:]} == {4, 5}


def test_a_learning_rate_at_which_tuning_breaks_is_named_with_its_key(
    params: Params, records: list[Record], tuned_on: list[tuple[list[str], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def finetune(*_: Any) -> None:
        raise ShedError("the loss is not finite", "learning rate")

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    select(records[:3])
    with pytest.raises(ShedError, match=r"not finite \(finetune\.lr in params\.yaml\)$"):
        told(params, seeds=3)
    assert not Path("metrics/verdict.json").exists()


def test_a_copy_of_the_project_has_the_runs_of_the_project(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def runs() -> Any:
        return runpy.run_path(str(project_root / "stages/shared/runs.py"))["RUNS"]

    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert runs() == Path(".shed/runs")
    monkeypatch.setenv("DVC_ROOT", "/a project")
    assert runs() == Path("/a project/.shed/runs")


@pytest.mark.slow
def test_the_true_verdict_is_paid_for_once_and_agrees_with_the_final_tuning(project: Project) -> None:
    project.set({"verdict": {"seeds": 3}})
    before = project.runs()  # it was off; the final tuning, which is one of the verdict's, is there
    project.run("python", "-m", "stages.verdict")
    first, made = project.json("metrics/verdict.json"), project.runs()
    assert first["seeds"] == 3
    assert first["rows"] == first["random_rows"]["rows"] == 6
    assert "NaN" not in (project.root / "metrics/verdict.json").read_text(encoding="utf-8")
    assert 2 + 3 <= len(made) - len(before) <= 2 + 3 + 3
    losses = [headline(summarise(pd.read_parquet(project.root / ".shed/runs" / name)))["test_loss"] for name in made]
    tuned = project.json("metrics/tuned.json")["test_loss"]  # under finetune.seed, which is 3
    assert sum(abs(loss - tuned) < 1e-6 for loss in losses) == 1

    project.run("python", "-m", "stages.verdict")
    assert (project.json("metrics/verdict.json"), project.runs()) == (first, made)

    output = project.dvc("exp", "run", "--temp", "-S", "verdict.seeds=3", "-n", "verdict-in-a-copy")
    assert stages_run(output)[0] == "verdict"
    assert project.runs() == made  # the copy found them

    project.set({"sampler": "qwcs"})
    project.run("python", "-m", "stages.sample")
    project.run("python", "-m", "stages.verdict")
    second, after = project.json("metrics/verdict.json"), project.runs()
    assert {name: after[name] for name in made} == made
    same_tokens = second["random_tokens"]["response_tokens"] == first["random_tokens"]["response_tokens"]
    assert len(after) - len(made) == 3 if same_tokens else 3 <= len(after) - len(made) <= 3 + 3
