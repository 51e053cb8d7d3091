"""The true pipeline when something goes wrong: nothing that was paid for is lost, and an error is one line."""

import os
import signal
import subprocess
import time

import pytest
from small_project import Project, outputs, stages_run

pytestmark = pytest.mark.slow


def test_scoring_that_is_killed_half_way_goes_on_where_it_was(project: Project) -> None:
    project.set({"score": {"method": "removal", "removal": {"k": 3}, "seed": 9, "budget": {"evaluations": None}}})
    before = project.evaluations()
    running = subprocess.Popen(
        ["dvc", "repro"],
        cwd=project.root,
        env=project.env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(project.evaluations()) < len(before) + 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    paid = project.evaluations()
    assert len(before) + 3 <= len(paid)
    assert stages_run(project.dvc("repro", "score")) == ["score"]
    after = project.evaluations()
    assert {key: after[key] for key in paid} == paid
    assert project.json("metrics/score.json")["evaluations"] == len(after) - len(before)


def test_a_model_that_cannot_be_found_is_one_line(project: Project) -> None:
    project.env["HF_HUB_OFFLINE"] = "1"
    output = project.dvc("exp", "run", "--temp", "-S", "model.name=no/such-model", ok=False)
    del project.env["HF_HUB_OFFLINE"]
    assert (
        "shed: error: 'no/such-model' is neither a packaged language model (packaged/smollm2-135m-instruct) nor a local folder"
        in output
    )
    assert "Traceback" not in output


def test_a_mistake_in_the_params_is_one_line_and_loses_nothing(project: Project) -> None:
    before = outputs(project.root)
    output = project.dvc("exp", "run", "-S", "sampler=qwxs", ok=False)
    assert (
        "shed: error: params.yaml: sampler is 'qwxs'; it must be 'top', 'qocs', 'qwcs', 'random', 'full' or 'given'" in output
    )
    assert "Traceback" not in output
    assert outputs(project.root) == before
    project.run("git", "checkout", "-q", "params.yaml")
    project.set({"sample": {"fraction": None, "rows": 61}})
    output = project.dvc("repro", ok=False)
    assert "shed: error: params.yaml: sample.rows is 61, but data.pool_rows is 60; it must be at most that" in output
    project.set({"C": 61, "sample": {"rows": 6}})
    output = project.dvc("repro", ok=False)
    assert "shed: error: params.yaml: C is 61, but data.pool_rows is 60" in output
    assert outputs(project.root) == before
