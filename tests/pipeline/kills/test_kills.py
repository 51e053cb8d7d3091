"""Stages of the true pipeline are killed at any moment; run again, every file is as if nothing had happened."""

import random
import shutil

import pytest
import yaml
from killed_commands import was_killed
from small_project import ASIDE, ORDER, Project, outputs
from soaking import times

from shed.cli.tidying.pipeline import find_state

pytestmark = pytest.mark.slow

STAGES = sorted({*ORDER, *ASIDE, "fetch"})
A_ROUND = 4  # kills before all is compared
LONGEST = 7.0  # seconds that a stage runs before it is killed: most of these small ones are done by then


def test_whatever_stage_is_killed_the_end_is_the_same_to_the_byte(project: Project) -> None:
    """DVC writes dvc.lock in place. A kill at that moment can leave a part of it, whose other stages `dvc repro` makes again; of
    one that DVC cannot read any more, the last commit's is brought back."""
    lock = project.root / "dvc.lock"
    before, known, draw = outputs(project.root), yaml.safe_load(lock.read_text()), random.Random(5)
    kills = times(A_ROUND, "stages that were killed in `dvc repro`, and run again")
    order = [stage for _ in range(kills // len(STAGES) + 1) for stage in draw.sample(STAGES, len(STAGES))][:kills]
    for n, stage in enumerate(order):
        if n % A_ROUND == 0:
            shutil.rmtree(project.root / ".shed", ignore_errors=True)  # so that all is measured again
        while not was_killed(project, draw.uniform(0.5, LONGEST), "repro", "--single-item", "--force", stage):
            pass  # it had ended by then
        for found in find_state(project.root):
            if found.mend:
                found.mend()
        project.dvc("repro", "--single-item", "--force", stage)
        if n % A_ROUND == A_ROUND - 1:
            project.dvc("repro")
            after = outputs(project.root)
            assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == set(), order[: n + 1]
            assert yaml.safe_load(lock.read_text()) == known  # in whatever order
            assert project.run("git", "diff", "HEAD", "--", ".", ":!dvc.lock") == ""
