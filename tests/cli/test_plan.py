"""`shed plan` tells what would run, why, and about what it costs; it changes nothing."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML
from toy_pipeline import command, make_toy

from shed.cli.app import main
from shed.cli.running import changes, outside
from shed.cli.running.known_runs import Runs, known_runs
from shed.cli.running.plan import idle_stages
from shed.cli.status import RunGoesOn, dvc_status
from shed.cli.terminal import about
from shed.common.atomic_io import write_json, write_jsonl, write_table
from shed.data.records import Record
from shed.evaluation import run_ledger
from shed.params import load_params
from shed.settings.costs.times import RunsLeft
from stages import verdict


def call(*words: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and ".dvc/tmp" not in str(path)}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """A project that was run."""
    root = make_toy(tmp_path / "toy", git=True)
    monkeypatch.chdir(root)
    assert call("run") == 0
    capfd.readouterr()
    return root


def test_what_is_told_of_changes_is_what_an_experiment_then_runs(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = changes.Project(toy)

    def told(*wanted: str) -> tuple[dict[str, str], dict[str, list[str]]]:
        found = changes.what_would_run(project, wanted, lambda params: {})
        return found.runs, found.why

    before = contents(toy)
    assert told() == ({"first": "no", "verdict": "no"}, {})
    assert told("C=16") == ({"first": "yes", "verdict": "maybe"}, {"first": ["param C modified"]})
    assert told("judge.seed=5") == ({"first": "no", "verdict": "no"}, {}), "no stage reads it"
    wanted = ("sampler=qwcs", "finetune.lr=0.01")
    assert told(*wanted) == (
        {"first": "no", "verdict": "yes"},
        {"verdict": ["param sampler modified", "param finetune.lr modified"]},
    )
    (toy / "toy.py").write_text((toy / "toy.py").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert told() == ({"first": "yes", "verdict": "maybe"}, {"first": ["toy.py modified"]})
    (toy / "toy.py").write_bytes(before[str(toy / "toy.py")])
    assert contents(toy) == before, "nothing of the project is touched"
    assert call("run", *(word for one in wanted for word in ("-S", one))) == 0
    assert re.findall(r"Running stage '(\w+)'", capfd.readouterr().out) == ["verdict"]
    assert told() == ({"first": "no", "verdict": "no"}, {})
    assert told("sampler=top")[0] == {"first": "no", "verdict": "yes"}, "back to what it was is a change, too"


def test_while_a_run_goes_on_what_it_has_not_finished_is_told_as_not_begun(tmp_path: Path) -> None:
    root = make_toy(tmp_path / "toy", "sleeps")
    with command(root, "run", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not (root / "begun").exists() and process.poll() is None:
                time.sleep(0.05)
            with pytest.raises(RunGoesOn):
                dvc_status(root)
            before = contents(root)
            found = changes.what_would_run(changes.Project(root), ("sampler=qwcs",), lambda params: {})
            assert contents(root) == before
        finally:
            process.send_signal(signal.SIGINT)
    assert found.during_a_run
    assert found.runs == {"first": "no", "verdict": "yes"}
    assert found.why == {"verdict": [changes.NEVER]}
    assert not changes.what_would_run(changes.Project(root), (), lambda params: {}).during_a_run


def test_where_nothing_has_changed_nothing_is_timed(toy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("plan") == 0
    assert "Nothing has changed" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("nonsense=1", "-S nonsense=1: params.yaml has no key 'nonsense'"),
        ("samplr=top", "did you mean 'sampler'?"),
        ("frction=0.2", "did you mean 'sample.fraction'?"),
        ("sampler", "-S sampler: no value; write KEY=VALUE"),
        ("C=[", "-S C=[: no viable alternative"),
        ("C=many", "error: -S C=many: C is 'many'"),
        ("sampler=qwxs", "error: -S sampler=qwxs: sampler is 'qwxs'; it must be 'top'"),
    ],
)
def test_a_change_that_cannot_be_is_refused_in_one_line(toy: Path, change: str, told: str) -> None:
    status = str(call("plan", "-S", change))
    assert told in status
    assert "\n" not in status


def test_stages_that_check_params_pass_nothing_on_by_that(project_root: Path, tmp_path: Path) -> None:
    shutil.copy(project_root / "dvc.yaml", tmp_path / "dvc.yaml")

    def runs(**why: list[str]) -> set[str]:
        each_time = frozenset({"fetch"})
        found = changes._reached(tmp_path, {"fetch": [], **why}, each_time)
        return {name for name, own in found.items() if own == "maybe"}

    assert runs() == set()
    assert runs(lengths=["param sampler modified"], fetch=["param sampler modified"]) == set()
    assert {"rate", "score", "verdict"} <= runs(lengths=["param model modified"])
    assert {"rate", "score", "verdict"} <= runs(lengths=["data/lengths.parquet deleted (output)"])
    assert runs(embed=["param embed modified"]) >= {"cluster", "score", "sample", "finetune", "verdict", "report"}


def test_what_has_changed_outside_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: str) -> None:
    root = make_toy(tmp_path / "toy")
    monkeypatch.chdir(root)
    shutil.copytree(tiny_model, root / "model")
    params = load_params()
    params = params.model_copy(update={"model": params.model.model_copy(update={"name": "model"})})
    assert outside.new_inputs(params) == {}, "what is not there yet DVC sees itself"
    from shed.data.splits import digests
    from shed.models.loading import manifest

    write_json("data/inputs.json", {split: digests(f"data/{split}.jsonl") for split in ("pool", "dev", "test")})
    write_json("data/model.json", manifest("model", "language model") | {"name": "model"})
    write_json("data/given.json", {})
    assert outside.new_inputs(params) == {}
    (root / "data/dev.jsonl").write_text('{"prompt": "c", "response": "d"}\n', encoding="utf-8")
    config = root / "model/config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"initializer_range": 0.2', '"initializer_range": 0.3'))
    assert outside.new_inputs(params) == {
        "data/inputs.json": "rows of dev modified",
        "data/model.json": "the language model's files modified",
    }


def test_runs_that_are_in_the_ledger_cost_nothing(
    project_root: Path, tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = load_params(project_root / "params.yaml")
    fewer = params.sample.model_copy(update={"fraction": None, "rows": 3})
    params = params.model_copy(update={"sample": fewer, "finetune": params.finetune.model_copy(update={"seed": 9})})
    assert known_runs(params, pool_changes=False, selection_changes=True) == Runs(9, 0, False, False, 0), "nothing is there"
    write_json("data/model.json", {"name": "packaged/smollm2-135m-instruct"})
    for split in ("pool", "dev", "test"):
        write_jsonl(f"data/prepared/{split}.jsonl", (record.to_row() for record in records))
    lengths = {"id": [record.id for record in records], "tokens": 99, "response_tokens": range(1, 13), "too_long": False}
    write_table("data/lengths.parquet", pd.DataFrame(lengths))
    write_table("data/selection.parquet", pd.DataFrame({"id": [record.id for record in records[:3]]}))
    monkeypatch.setattr(run_ledger, "finetune", lambda *about: None)
    monkeypatch.setattr(run_ledger, "evaluate", evaluated)
    assert known_runs(params, pool_changes=False, selection_changes=False).left == 9
    verdict.run(params)
    assert known_runs(params, pool_changes=False, selection_changes=False) == Runs(9, 9, False, False, 0)
    assert known_runs(params, pool_changes=True, selection_changes=True).left == 9
    other = known_runs(params, pool_changes=False, selection_changes=True)
    assert (other.there, other.left) == (3, 6), "random rows, as many, are the same for each selection"
    more = params.model_copy(update={"verdict": params.verdict.model_copy(update={"seeds": 5, "full": True})})
    found = known_runs(more, pool_changes=False, selection_changes=False)
    assert (found.asked, found.there, found.left, found.full) == (20, 9, 6, 5)
    tuned = params.model_copy(update={"finetune": params.finetune.model_copy(update={"seed": 2})})
    assert known_runs(tuned, pool_changes=False, selection_changes=False).final
    whole = params.model_copy(update={"sampler": "full"})
    assert known_runs(whole, pool_changes=False, selection_changes=True).asked == 0, "it has nothing to be compared with"


def test_the_run_of_the_final_tuning_is_made_by_whichever_stage_comes_first() -> None:
    shared = Runs(asked=9, there=0, final=False, shared=True, full=0)
    assert shared.to_make(evaluates=True) == RunsLeft(verdict=8)
    assert shared.to_make(evaluates=False) == RunsLeft(verdict=9)
    assert Runs(asked=12, there=9, final=True, shared=False, full=3).to_make(evaluates=True) == RunsLeft(0, full=3, final=False)


def evaluated(_: Any, adapter: Path | None, splits: Mapping[str, Sequence[Record]], *about: Any) -> pd.DataFrame:
    rows = [(f"{split}_{one.source}", one.id, 1.0, 3.0, 1.0, 1.0) for split, own in splits.items() for one in own]
    return pd.DataFrame(rows, columns=["task", "id", "correct", "nats", "tokens", "choice_nats"])


@pytest.fixture
def fresh(project_root: Path, tmp_path: Path, tiny_model: str, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The true pipeline with rows of its own and a tiny model, never run."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(project_root / "dvc.yaml", tmp_path / "dvc.yaml")
    yaml = YAML()
    params = yaml.load((project_root / "params.yaml").read_text(encoding="utf-8"))
    params["C"] = 4
    params["data"] |= {"pool": "pool.jsonl", "dev": "dev.jsonl", "test": "dev.jsonl", "pool_rows": None, "dev_rows": None}
    params["model"]["name"] = tiny_model
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    write_jsonl("pool.jsonl", ({"prompt": one.prompt * n, "response": "so"} for one in records for n in range(1, 6)))
    write_jsonl("dev.jsonl", ({"prompt": one.prompt, "response": "so"} for one in records))
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    return tmp_path


def test_before_the_first_run_rows_are_sampled_from_the_files_and_it_says_so(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    stages = {one["stage"]: one for one in found["stages"]}
    assert all(one["runs"] == "yes" for one in stages.values())
    assert all(one["low"] < one["seconds"] < one["high"] for one in stages.values())
    assert stages["score"]["fte"] == 11
    assert stages["fidelity"]["fte"] > 0
    assert stages["score"]["memory"] > 1e8
    assert found["verdict_runs"] == {"asked": 9, "there": 0, "selection_known": False, "final_is_one": True}
    assert found["total"]["seconds"] == pytest.approx(sum(one["seconds"] for one in stages.values()))
    assert call("plan", "-S", "verdict.seeds=0", "-S", "score.budget.fte=22") == 0
    printed = capsys.readouterr()
    told = printed.out
    assert [line for line in printed.err.splitlines() if line.startswith("shed: ")] == [
        "shed: looking what has changed ...",
        "shed: reading rows ...",
        "shed: timing the model ...",
    ], "standard output is for the result"
    assert re.search(r"^ ?score +\d.* 22 ", told, re.MULTILINE)
    assert "The records are not prepared with these params yet" in told
    assert "In all about" in told
    assert "FTE: fine-tune equivalents" in told
    assert "the work of score and fidelity takes no part in the selection" in told
    assert "fewer fidelity.coalitions and fidelity.target_coalitions" in told
    assert not (fresh / "data").exists()


def test_a_budget_below_the_first_estimate_is_refused_before_anything_is_timed(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("shed.cli.running.estimate.measure")
    status = str(call("plan", "-S", "score.budget.fte=5.5"))
    assert "-S score.budget.fte=5.5: the budget of 5.5 FTE does not cover the first estimate of 4 clusters" in status
    assert status.endswith("takes at least 6.0; raise the budget (score.budget in params.yaml)")


def test_fits_are_planned_for_where_they_are_asked_for(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "--json", "-S", "verdict.seeds=0") == 0
    off = {one["stage"]: one for one in json.loads(capsys.readouterr().out)["stages"]}
    changes = ("-S", "verdict.seeds=0", "-S", "quality.prompt_fit=true", "-S", "sample.exclude.prompt_fit=0.5")
    assert call("plan", "--json", *changes) == 0
    on = {one["stage"]: one for one in json.loads(capsys.readouterr().out)["stages"]}
    assert off["quality"]["seconds"] < 2
    assert on["quality"]["seconds"] == pytest.approx(2 * on["embed"]["seconds"])


def test_samplers_that_go_by_scores_need_the_work_of_scoring(project_root: Path) -> None:
    params = load_params(project_root / "params.yaml")
    idle = {name: idle_stages(params.model_copy(update={"sampler": name}), ["score", "sample"]) for name in ("top", "qwcs")}
    assert idle == {"top": ["score"], "qwcs": []}


def test_times_are_rounded_as_befits_them() -> None:
    assert [about(seconds) for seconds in (1.2, 89, 91, 3700, 7300, 90_000, 180_000)] == [
        "1 s", "89 s", "2 min", "62 min", "2.0 hours", "25 hours", "2.1 days",
    ]  # fmt: skip
