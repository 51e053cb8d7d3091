"""One `dvc repro` of a small clone, shared by all stories of the true pipeline."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_project import ASIDE, ORDER, SMALL, Project, stages_run


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The clone after its first `dvc repro`, which all stories share."""
    source, root = Path(__file__).parents[2], tmp_path_factory.mktemp("project") / "shed"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=source, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith("tests/") and name != "dvc.lock" and (source / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, root / name)
    shutil.rmtree(root / "metrics", ignore_errors=True)
    for name in ("inputs", "embedder", "model"):
        (root / "data" / f"{name}.json").unlink(missing_ok=True)
    project = Project(root)
    project.set(SMALL)
    project.run("git", "init", "-q", "-b", "main")
    project.run("git", "config", "user.email", "test@example.com")
    project.run("git", "config", "user.name", "test")
    output = project.dvc("repro")
    assert set(stages_run(output)) == {*ORDER, *ASIDE}
    project.run("git", "add", "-A")
    project.run("git", "commit", "-q", "-m", "small settings, reproduced")
    return project


@pytest.fixture
def project(reproduced: Project) -> Iterator[Project]:
    """The clone; a story leaves it as it was."""
    yield reproduced
    reproduced.run("git", "checkout", "-q", "-f", "main")
    reproduced.dvc("checkout", "--force")  # a story may leave other rejects
