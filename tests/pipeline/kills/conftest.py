"""Stories of kills begin without what ledgers keep; the next stories find it as it was."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_project import Project


@pytest.fixture(autouse=True)
def ledgers_as_they_were(project: Project, tmp_path: Path) -> Iterator[None]:
    own = project.root / ".shed"
    kept = shutil.copytree(own, tmp_path / "kept")
    yield
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(kept, own)
