"""The final tuning can be followed in a tracker: one run has its curve, its params and the verdict, and results never change."""

import hashlib
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from shed.common.atomic_io import write_json
from shed.common.errors import ShedError
from shed.params import Params, load_params
from shed.params import Tracking as Settings
from shed.tuning.tracking import OFF, TRACKERS, Tracking, check_installed, log_results, reporting
from stages import KEYS, fetch, naming_keys
from stages.shared.settings.tracking import report_results, tracking

RUN = "shed-top-0123abcd"
PARAMS = {"C": "32", "verdict.seeds": "3"}
DIGESTS = {"data/prepared/pool.jsonl": "d41d8cd98f00b204e9800998ecf8427e"}
RESULTS = {"verdict": {"sentence": "On test, it is better.", "random_rows": {"test": {"gain": 0.5}}, "rows": None}}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trackers keep what they are told here, and read what a user has set in the environment."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    os.environ |= {"WANDB_MODE": "offline", "TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "WANDB_SILENT": "true"}
    yield
    os.environ.clear()
    os.environ |= before


def tune(tracking: Tracking, folder: Path) -> list[float]:
    """Two steps of a model of a few weights."""
    config = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=16)
    examples = [{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}] * 2
    settings = {"output_dir": str(folder), "num_train_epochs": 1, "per_device_train_batch_size": 1, "logging_steps": 1}
    settings |= {"save_strategy": "no", "disable_tqdm": True, "use_cpu": True, "seed": 1}
    with reporting(tracking) as callbacks:
        arguments = TrainingArguments(**settings, **tracking.trainer_arguments)
        trainer = Trainer(model_init=lambda: LlamaForCausalLM(config), args=arguments, train_dataset=examples)
        for callback in callbacks:
            trainer.add_callback(callback)
        trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def run_in(name: str, folder: Path) -> Tracking:
    """A run that is tuned and then told the results twice, as when the pipeline's end runs again with another param."""
    pytest.importorskip(name)
    tracking = Tracking([name], "a project", RUN)
    assert tune(tracking, folder) == tune(OFF, folder)
    for seeds in ("3", "5"):
        log_results(tracking, PARAMS | {"verdict.seeds": seeds}, DIGESTS, RESULTS)
    return tracking


def test_params_and_the_library_name_the_same_trackers() -> None:
    (allowed,) = get_args(Settings.model_fields["report_to"].annotation)
    assert get_args(allowed) == TRACKERS


def test_nothing_is_reported_by_default(tmp_path: Path) -> None:
    assert OFF.trainer_arguments == {"report_to": "none"}
    tune(OFF, tmp_path / "scratch")
    log_results(OFF, PARAMS, DIGESTS, RESULTS)
    assert {path.name for path in tmp_path.iterdir()} <= {"scratch"}


def test_a_missing_tracker_is_one_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed.tuning.tracking.find_spec", lambda name: None if name in {"mlflow", "wandb"} else object())
    said = (
        "^mlflow and wandb cannot be reported to: not installed; run `pip install 'shed-tuning\\[mlflow,wandb\\]'`, "
        "or leave them out$"
    )
    with pytest.raises(ShedError, match=said) as caught:
        check_installed(["mlflow", "trackio", "wandb"])
    assert caught.value.setting == "trackers"
    check_installed(["trackio"])


class Refusing:
    """A tracker without its key."""

    def init(self) -> None:
        raise RuntimeError("No API key\nconfigured. " + "x" * 1000)

    def finish(self) -> None:
        raise AssertionError("there is no run")


def test_a_tracker_that_refuses_stops_the_tuning_before_it_begins_but_not_results_that_are_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", Refusing())
    monkeypatch.setattr("shed.tuning.tracking.find_spec", lambda name: object())
    tracking = Tracking(["wandb"], "a project", RUN)
    with (
        pytest.raises(ShedError, match=r"^wandb cannot be reported to: No API key configured\. x{100,300}…$"),
        reporting(tracking),
    ):
        raise AssertionError("nothing is tuned")
    log_results(tracking, PARAMS, DIGESTS, RESULTS)
    warned = capsys.readouterr().err
    assert warned.startswith("shed: warning: wandb cannot be reported to: No API key configured.")
    assert warned.endswith("…; the results themselves are complete\n")
    assert warned.count("\n") == 1


class Recording:
    """A tracker that notes what it finds in the environment."""

    def __init__(self) -> None:
        self.found: list[tuple[str | None, str | None]] = []

    def init(self) -> None:
        self.found.append((os.environ.get("WANDB_PROJECT"), os.environ.get("WANDB_RUN_ID")))

    def finish(self) -> None:
        pass


def test_a_run_has_its_name_only_while_it_runs_and_what_the_user_has_set_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    wandb, before = Recording(), dict(os.environ)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr("shed.tuning.tracking.find_spec", lambda name: object())
    for run in ("first", "second"):
        with reporting(Tracking(["wandb"], "a project", run)):
            pass
    with reporting(OFF):
        assert dict(os.environ) == before
    os.environ["WANDB_PROJECT"] = "of the user"
    with reporting(Tracking(["wandb"], "a project", "third")):
        pass
    assert wandb.found == [("a project", "first"), ("a project", "second"), ("of the user", "third")]
    assert dict(os.environ) == before | {"WANDB_PROJECT": "of the user"}


def test_dvclive_has_one_run_and_leaves_the_pipeline_alone(tmp_path: Path) -> None:
    run_in("dvclive", tmp_path)
    assert not (tmp_path / "dvc.yaml").exists()
    metrics = json.loads((tmp_path / "dvclive/metrics.json").read_text())
    assert metrics["verdict"]["random_rows"]["test"]["gain"] == 0.5
    assert metrics["loss"] > 0
    params = yaml.safe_load((tmp_path / "dvclive/params.yaml").read_text())
    assert params["params/verdict.seeds"] == "5"
    assert params["md5/data/prepared/pool.jsonl"] == DIGESTS["data/prepared/pool.jsonl"]
    assert params["verdict/sentence"] == "On test, it is better."
    assert params["logging_steps"] == 1
    assert len((tmp_path / "dvclive/plots/metrics/loss.tsv").read_text().splitlines()) == 3


def test_mlflow_has_one_run(tmp_path: Path) -> None:
    run_in("mlflow", tmp_path)
    from mlflow import MlflowClient

    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("a project").experiment_id])
    assert run.info.run_name == RUN
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 2
    assert run.data.metrics["verdict/random_rows/test/gain"] == 0.5
    assert (run.data.params["params/verdict.seeds"], run.data.tags["params/verdict.seeds"]) == ("3", "5")
    assert run.data.tags["md5/data/prepared/pool.jsonl"] == DIGESTS["data/prepared/pool.jsonl"]
    assert run.data.tags["verdict/sentence"] == "On test, it is better."


def test_trackio_has_one_run(tmp_path: Path) -> None:
    run_in("trackio", tmp_path)
    import trackio

    (run,) = trackio.Api().runs("a project")
    assert run.name == RUN
    assert run.config["params/verdict.seeds"] == "5"
    assert run.config["verdict/sentence"] == "On test, it is better."
    assert run.config["logging_steps"] == 1  # of the tuning
    (store,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(store) as database:
        told = [json.loads(row) for (row,) in database.execute("select metrics from metrics")]
    assert sum("train/loss" in one for one in told) == 2
    assert told[-1] == {"verdict/random_rows/test/gain": 0.5}


def test_wandb_has_one_run(tmp_path: Path) -> None:
    run_in("wandb", tmp_path)
    runs = [path.name for path in (tmp_path / "wandb").glob("offline-run-*")]
    assert len(runs) == 3  # the tuning and two ends, which a server puts together by their id
    assert all(RUN in name for name in runs)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    for text in ("train/loss", "verdict/random_rows/test/gain", "md5/data/prepared/pool.jsonl", "On test, it is better."):
        assert text.encode() in kept


@pytest.fixture
def project(project_root: Path, tmp_path: Path) -> Path:
    """A folder with params and a selection."""
    (tmp_path / "params.yaml").write_text((project_root / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "selection").write_bytes(b"rows")
    return tmp_path


def changed(project: Path, **changes: str) -> Params:
    """Its params with other values."""
    text = (project / "params.yaml").read_text(encoding="utf-8")
    for key, value in changes.items():
        assert f"{key}: " in text
        text = re.sub(rf"{key}: .*", f"{key}: {value}", text)
    (project / "changed.yaml").write_text(text, encoding="utf-8")
    return load_params(project / "changed.yaml")


def test_a_tracker_that_is_not_installed_is_told_before_anything_is_fetched(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed.tuning.tracking.find_spec", lambda name: None)
    with pytest.raises(ShedError, match=r"'shed-tuning\[wandb\]'.*\(tracking\.report_to in params\.yaml\)$"), naming_keys(KEYS):
        fetch.run(changed(project, report_to="[wandb]"))
    assert not (project / "data").exists()


def test_a_run_is_named_by_what_is_tuned(project: Path) -> None:
    def named(**changes: str) -> str:
        params = changed(project, **changes)
        return tracking(params.tracking, params.model, params.finetune, str(project / "selection")).run

    assert named() == ""  # nothing is reported
    name = named(report_to="[mlflow]")
    assert name.startswith("shed-")
    assert named(report_to="[mlflow, wandb]", seeds="5") == name
    assert named(report_to="[mlflow]", warmup_ratio="0.3") != name
    (project / "selection").write_bytes(b"other rows")
    assert named(report_to="[mlflow]") != name


def test_what_is_reported_at_the_end_are_params_digests_as_dvc_has_them_and_the_verdict(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr("stages.shared.settings.tracking.log_results", lambda *arguments: told.append(arguments))
    write_json("verdict.json", {"better": True})
    report_results(changed(project), ["params.yaml"], "selection", "verdict.json")
    assert told == []
    report_results(changed(project, report_to="[mlflow, mlflow]"), ["params.yaml"], "selection", "verdict.json")
    ((run, params, digests, results),) = told
    assert (run.report_to, run.project) == (["mlflow"], "shed")
    assert params["tracking.report_to"] == "['mlflow', 'mlflow']"
    assert digests == {name: hashlib.md5((project / name).read_bytes()).hexdigest() for name in ("params.yaml", "selection")}
    assert results == {"verdict": {"better": True}}
