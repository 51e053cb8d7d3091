"""Stages of the true pipeline are killed at any moment; run again, every file is as if nothing had happened."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from small_project import Project, outputs
from soaking import times

pytestmark = pytest.mark.slow

STAGES = ("prepare", "embed", "rate", "cluster", "score", "fidelity", "finetune", "evaluate", "export", "report")
A_ROUND = 4  # stages that are killed before all is compared
LONGEST = 7.0  # seconds that a stage runs before it is killed: most of these small ones are done by then


def test_whatever_stage_is_killed_the_end_is_the_same_to_the_byte(project: Project) -> None:
    before, draw, killed = outputs(project.root), random.Random(5), 0
    for _ in range(times(1, "rounds of four stages of the pipeline, each killed once and run again")):
        shutil.rmtree(project.root / ".shed")  # so that all is measured again
        for stage in sorted(draw.sample(STAGES, A_ROUND), key=STAGES.index):
            killed += was_killed(project, stage, draw.uniform(0.5, LONGEST))
            project.dvc("repro", "--single-item", "--force", stage)
        after = outputs(project.root)
        assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == set()
        assert project.run("git", "status", "--porcelain", "--untracked-files=no") == ""
    assert killed


def was_killed(project: Project, stage: str, after: float) -> bool:
    """Whether the stage was still at work then."""
    running = subprocess.Popen(
        ["dvc", "repro", "--single-item", "--force", stage],
        cwd=project.root,
        env=project.env,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after)
    at_work = running.poll() is None
    if at_work:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return at_work
