"""Experiments of DVC are killed at any moment, in the workspace, in a copy and in the queue; begun again, they end the same."""

import random
import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from killed_commands import all_in, begun, kill_all_in, was_killed
from small_project import Project, outputs
from soaking import soaks, times

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not soaks(), reason="takes minutes; `make soak` tells it")]

CHANGE = ("-S", "sampler=qwcs")  # eight stages run
LONGEST = 45.0  # seconds before it is killed
PATIENCE = 600.0  # seconds for the queue


@pytest.fixture
def reference(project: Project) -> Iterator[dict[str, bytes]]:
    """What the experiment writes if nothing happens to it."""
    project.dvc("exp", "run", *CHANGE, "-n", "reference")
    yield outputs(project.root)
    kill_all_in(project)
    _back(project)
    project.dvc("exp", "remove", "--all-commits", ok=True)


def in_the_workspace(project: Project, after: float, name: str) -> bool:
    if not was_killed(project, after, "exp", "run", *CHANGE, "-n", name):
        return False
    project.dvc("exp", "run", *CHANGE, "-n", name)
    return True


def in_a_copy(project: Project, after: float, name: str) -> bool:
    if not was_killed(project, after, "exp", "run", "--temp", *CHANGE, "-n", name):
        return False
    project.dvc("exp", "run", "--temp", *CHANGE, "-n", f"{name}-again")
    project.dvc("exp", "apply", f"{name}-again")
    return True


def in_the_queue(project: Project, after: float, name: str) -> bool:
    project.dvc("exp", "run", "--queue", *CHANGE, "-n", name)
    assert begun(project, "queue", "start").wait() == 0
    ends = time.monotonic() + PATIENCE
    while not all_in(project) and time.monotonic() < ends:  # the worker needs some seconds to begin
        time.sleep(0.2)
    time.sleep(after)
    if not kill_all_in(project):
        return False
    again = f"{name}-again"
    project.dvc("exp", "run", "--queue", *CHANGE, "-n", again)
    assert begun(project, "queue", "start").wait() == 0
    ends = time.monotonic() + PATIENCE
    while again not in project.dvc("exp", "list", "--name-only").split():
        assert time.monotonic() < ends, project.dvc("queue", "status")
        time.sleep(2)
    project.dvc("exp", "apply", again)
    return True


@pytest.mark.parametrize(
    ("way", "what"),
    [
        (in_the_workspace, "experiments that were killed in the workspace (`dvc exp run`), and run again"),
        (in_a_copy, "experiments that were killed in a copy (`dvc exp run --temp`), and run again"),
        (in_the_queue, "experiments that were killed in the queue (`dvc queue start`), and queued again"),
    ],
    ids=["workspace", "copy", "queue"],
)
def test_an_experiment_that_is_killed_ends_the_same_when_it_is_run_again(
    project: Project, reference: dict[str, bytes], way: Callable[[Project, float, str], bool], what: str
) -> None:
    draw = random.Random(what)
    for n in range(times(1, what)):
        _back(project)
        while not _anew(project, way, draw.uniform(1.0, LONGEST), f"{way.__name__}-{n}-{draw.getrandbits(20)}"):
            _back(project)
        after = outputs(project.root)
        assert {name for name in {*reference, *after} if reference.get(name) != after.get(name)} == set()


def _anew(project: Project, way: Callable[[Project, float, str], bool], after: float, name: str) -> bool:
    """Without what DVC and the ledgers know of runs like this one."""
    shutil.rmtree(project.root / ".dvc/cache/runs", ignore_errors=True)
    shutil.rmtree(project.root / ".shed", ignore_errors=True)
    return way(project, after, name)


def _back(project: Project) -> None:
    project.run("git", "checkout", "-q", "-f", "main")
    project.dvc("checkout", "--force")
