"""A proof on a device: the paper's settings by the real pipeline, cut to the time, stopped and gone on with, on a page."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from soaking import soaks

from benchmarks.gpu.device import Device
from benchmarks.gpu.page import page, results
from benchmarks.gpu.settings import PAPER, changed, cuts, paper_params, value_of
from benchmarks.gpu.sizing import Planned, fitting
from benchmarks.gpu.stage_runs import HOOK, TO, Attempt, Stages
from benchmarks.tiny_model import tiny_model as save_tiny_model
from shed.cli.making.folder import params_text
from shed.common.atomic_io import read_json, write_json
from shed.data.formats.yaml_text import parse_yaml, read_yaml
from shed.params import Params
from shed.settings.costs.times import RunsLeft

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def own_params() -> Any:
    return parse_yaml(params_text({"data.pool": "pool.jsonl", "data.dev": "lm_eval:gsm8k"}), "params.yaml", "dvc")


def paper(rows: int) -> dict[str, Any]:
    return paper_params(own_params(), rows, ["gsm8k", "mmlu"])


def test_the_settings_are_the_papers_in_proportion_to_the_rows() -> None:
    params = Params.model_validate(paper(10_000))
    original = read_yaml(PAPER, "file of params", "dvc")
    assert (params.C, params.score.removal.n) == (588, 11)  # 52,002 rows have 3,000 clusters, in groups of 60
    assert (params.data.pool, params.data.dev, params.data.pool_rows) == ("pool.jsonl", "lm_eval:gsm8k", 10_000)
    assert params.rate.warm_rows == 100
    assert params.evaluate.tasks == ["gsm8k", "mmlu"]
    for key in (
        "finetune.r",
        "finetune.epochs",
        "regime.lr",
        "sampler",
        "score.removal.k",
        "model.max_tokens",
        "data.dev_rows",
    ):
        assert value_of(paper(10_000), key) == value_of(original, key)


@pytest.mark.parametrize("rows", [60, 10_000])
def test_all_cuts_are_values_that_params_may_have(rows: int) -> None:
    own = paper(rows)
    for steps in cuts(own["C"]).values():
        for step in steps:
            own = changed(own, step)
            Params.model_validate(own)


class Plans:
    """Scoring takes a second for each cluster and iteration, the rest ten seconds each."""

    def of(self, params: Params) -> Planned:
        seconds = dict.fromkeys(("fidelity", "rate", "finetune", "evaluate", "verdict"), 10.0)
        seconds |= {"score": float(params.C * params.score.removal.k), "prepare": 1e6}  # which has run
        return Planned(seconds, {}, RunsLeft(1))


def test_the_dearest_part_is_cut_until_the_rest_fits() -> None:
    params = Params.model_validate(paper(10_000))
    assert fitting(Plans(), params, 6000.0)[0] == {}  # type: ignore[arg-type]
    changes, planned = fitting(Plans(), params, 1300.0)  # type: ignore[arg-type]
    assert changes == {"score.dev_rows": 100, "score.removal.k": 2}
    assert planned.left == 2 * 588 + 50
    changes, planned = fitting(Plans(), params, 1.0)  # type: ignore[arg-type]
    assert planned.left > 1.0, "all cuts are made, and it is told that they do not do"
    assert (changes["C"], changes["score.removal.n"], changes["score.removal.k"]) == (73, 1, 1)
    assert changes["sample.fraction"] == 0.01


TOY = """
import sys, time
from pathlib import Path
time.sleep(0.1)
if not Path("stopped").exists():
    Path("stopped").touch()
    time.sleep(60)
Path("made").touch()
"""
TOY_PIPELINE = {"stages": {"slow": {"cmd": "python toy.py stage slow", "deps": ["toy.py"], "outs": ["made"]}}}
RUN = "from benchmarks.gpu.stage_runs import Stages; from pathlib import Path; Stages(Path('toy'), Path('attempts.json')).run('slow')"


def toy(folder: Path) -> Path:
    project = folder / "toy"
    project.mkdir()
    (project / "toy.py").write_text(TOY, encoding="utf-8")
    (project / "dvc.yaml").write_text(yaml.safe_dump(TOY_PIPELINE), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=project, check=True)
    return project


def test_a_stage_that_was_stopped_goes_on_and_all_its_time_counts(tmp_path: Path) -> None:
    project = toy(tmp_path)
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as run:
        while not (project / "stopped").exists():
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        assert run.stderr is not None
        assert "the same command goes on from there" in run.stderr.read()
    assert run.returncode == 1
    for _ in range(2):  # the second time there is nothing to do
        subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, env=ENVIRONMENT, check=True)
    stages = Stages(project, tmp_path / "attempts.json")
    assert [one.finished for one in stages.attempts] == [False, True]
    taken = stages.taken()["slow"]
    assert (taken.attempts, taken.whole, taken.gpu_bytes) == (2, True, None)
    assert taken.seconds == pytest.approx(sum(one.seconds for one in stages.attempts))
    assert taken.seconds > 0.2
    assert taken.peak_bytes is not None
    assert taken.peak_bytes > 2**20


FAKE_TORCH = """
class cuda:
    is_available = is_initialized = staticmethod(lambda: True)
    max_memory_allocated, max_memory_reserved = staticmethod(lambda: 7), staticmethod(lambda: 9)
"""


def test_the_peak_of_the_gpu_is_as_torch_counts_it(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(FAKE_TORCH, encoding="utf-8")
    (tmp_path / "work.py").write_text("import torch, sys; sys.exit(3)", encoding="utf-8")
    told = tmp_path / "told.json"
    environment = os.environ | {"PYTHONPATH": f"{HOOK}{os.pathsep}{tmp_path}", TO: str(told)}
    assert (
        subprocess.run([sys.executable, "work.py", "stage", "rate"], cwd=tmp_path, env=environment, check=False).returncode == 3
    )
    assert read_json(told)["gpu"] == {"allocated_bytes": 7, "reserved_bytes": 9}
    told.unlink()
    subprocess.run([sys.executable, "work.py", "other", "rate"], cwd=tmp_path, env=environment, check=False)
    assert not told.exists()


def test_the_page_of_a_gpu_has_its_name_its_memory_and_what_differs_from_the_paper(tmp_path: Path) -> None:
    gain = {"gain": 0.02, "low": -0.01, "high": 0.05}
    verdict = {"sentence": "On test it is better.", "random_rows": {"test": {"gsm8k": {"generation": gain}}, "dev": {}}}
    of_model = {"test_gsm8k": {"generation": 0.25, "generation_stderr": 0.03, "items": 50}}
    write_json(tmp_path / "project/metrics/verdict.json", verdict)
    write_json(tmp_path / "project/metrics/tasks.json", {"base": of_model, "tuned": of_model, "change": {}})
    (tmp_path / "project/params.yaml").write_text(yaml.safe_dump(paper(10_000)), encoding="utf-8")
    took = [Attempt("rate", False, 50.0, None, None, None), Attempt("rate", True, 100.0, 3 * 10**9, 20 * 10**9, 30 * 10**9)]
    write_json(tmp_path / "attempts.json", [asdict(one) for one in took])
    plan = {
        "changes": {"score.removal.k": 2},
        "fits": True,
        "seconds": {"rate": 120.0},
        "passes": {"rate": 3e6, "verdict": 1e6},
    }
    asked = {"pool": "pool.jsonl", "dev": "lm_eval:gsm8k", "test": None, "model": "a/model", "rows": 10_000, "minutes": 60.0}
    found = results(
        Device(True, "A GPU", 80 * 10**9, 16, "2.13", "13.0"),
        {**asked, "tasks": ["gsm8k"]},
        {**plan, "speed": {"model_bytes": 16 * 10**9}},
        Stages(tmp_path / "project", tmp_path / "attempts.json"),
        tmp_path / "project",
    )
    text = page(found)
    assert "A GPU, 80.00 GB; 16 cores" in text
    assert "| rate | 150 or more | 120 | 3.00 | 20.00 | 30.00 | 20,000 |" in text
    assert "could be measured: 1." in text
    assert "| test_gsm8k | score of written answers | 0.250 ± 0.030 | 0.250 ± 0.030 | +0.020 [-0.010, +0.050] |" in text
    assert "| `C` | 3000 | **588** |" in text
    assert "| `finetune.r` | 128 | 128 |" in text
    assert "processor" not in text
    assert "smaller than" not in text


def files(folder: Path) -> dict[str, str]:
    """Records, a tiny model, and two tasks of lm-eval: one of multiple choice, as mmlu, and one that is written, as gsm8k."""
    sizes = {"pool": (0, 100), "dev": (1000, 16), "test": (2000, 16)}
    for name, (start, count) in sizes.items():
        rows = [{"instruction": f"What comes after {n}?", "output": f"{n + 1} comes."} for n in range(start, start + count)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = [{"question": f"{i}+1?", "choices": [f"{i}", f"{i + 1}"], "answer": 1} for i in range(4)]
    (folder / "asked.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    common: Mapping[str, Any] = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "asked.jsonl")}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "doc_to_text": "{{question}}",
    }
    chosen = {"task": "chosen", "output_type": "multiple_choice", "doc_to_choice": "{{choices}}", "doc_to_target": "answer"}
    chosen |= {"metric_list": [{"metric": "acc"}]}
    written = {"task": "written", "output_type": "generate_until", "doc_to_target": "{{answer}}"}
    written |= {"generation_kwargs": {"until": ["\n"], "max_gen_toks": 4}}
    written |= {"metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]}
    for task in (chosen, written):
        (folder / f"{task['task']}.yaml").write_text(yaml.safe_dump({**common, **task}), encoding="utf-8")
    save_tiny_model(folder / "model", layers=2, positions=1024)
    return {name: f"{name}.jsonl" for name in sizes} | {"model": "model"}


def proof(folder: Path, *words: str, device: str = "cpu") -> subprocess.CompletedProcess[str]:
    given = [
        word
        for name, path in {"pool": "pool.jsonl", "dev": "dev.jsonl", "model": "model"}.items()
        for word in (f"--{name}", path)
    ]
    command = [sys.executable, "-m", "benchmarks.gpu.proof", *given, "--rows", "60", "--out", "out", "--device", device, *words]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_without_a_gpu_it_says_so_and_what_to_do(tmp_path: Path) -> None:
    done = proof(tmp_path, device="99")
    assert done.returncode == 1
    assert "finds no GPU 99; with --device cpu" in done.stderr
    assert "give the number of a GPU" in proof(tmp_path, "--out", "other", device="all").stderr
    done = proof(tmp_path, "--minutes", "5", device="99")
    assert "begun with other values of --minutes" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not soaks(), reason="takes minutes; `make soak` tells it")
def test_a_proof_from_the_first_line_to_the_page(tmp_path: Path) -> None:
    files(tmp_path)
    words = ("--test", "test.jsonl", "--minutes", "0.01", "--tasks", "chosen.yaml", "written.yaml")
    done = proof(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found, page = read_json(tmp_path / "out/results.json"), (tmp_path / "out/results.md").read_text(encoding="utf-8")
    assert {"rate", "score", "sample", "finetune", "evaluate", "verdict", "report"} <= set(found["stages"])
    for name, own in found["stages"].items():
        assert own["seconds"] > 0, name
        assert own["peak_bytes"] > 50e6, name
        assert own["gpu_bytes"] is None, name
    assert found["stages"]["rate"]["token_passes_a_second"] > 0
    assert found["stages"]["verdict"]["token_passes_a_second"] is None, "nobody counts the tokens of lm-eval's tasks"
    assert not found["fits"]
    assert found["settings"]["score.removal.k"] == {"paper": 10, "here": 1}
    assert {"test_chosen", "test_written"} <= set(found["tasks"]["tuned"])
    assert "This run was made on a processor" in page
    assert "| test_written | score of written answers |" in page
    assert "to which no cut could keep" in page
    assert found["verdict"]["sentence"] in page
    assert (tmp_path / "out/project/reports/index.html").is_file()
