"""How far the pipeline has run is a note of `shed doctor`; a commit that is not of its own params is wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project_calls import git

from shed.cli.status import RUNNING, RunGoesOn
from shed.cli.tidying import pipeline
from shed.cli.tidying.pipeline import find_state

pytestmark = pytest.mark.usefixtures("git_user")
ROOT = Path(__file__).parents[3]
STAGES = "stages:\n  rate: {cmd: 'true', params: [C]}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One that was run and committed."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("/.dvc/tmp\n/.dvc/cache\n", encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert list(find_state(tmp_path)) == [], "nothing has run yet"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    repro = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    subprocess.run(repro, cwd=tmp_path, check=True, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL)
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "run")
    return tmp_path


def test_what_has_not_run_or_has_changed_is_a_note_and_a_commit_of_other_params_is_wrong(project: Path) -> None:
    assert list(find_state(project)) == []
    (project / "dvc.yaml").write_text(f"{STAGES}  score: {{cmd: 'true', params: [C]}}\n", encoding="utf-8")
    (found,) = find_state(project)
    assert (found.what, found.wrong) == ("stages that have not run yet: score", False)
    params = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(params.replace("C: 32", "C: 16"), encoding="utf-8")
    (found,) = find_state(project)
    assert found.what == "stages that have not run yet: score; have changed since they ran: rate"
    assert not found.wrong
    git(project, "commit", "--quiet", "--all", "--message", "not run")
    (found,) = find_state(project)
    assert (found.what, found.wrong) == ("the commit's dvc.lock is not of its code and params; what changed: rate", True)


def test_a_run_that_goes_on_is_no_fault(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(root: Path) -> list[str]:
        raise RunGoesOn(RUNNING)

    monkeypatch.setattr(pipeline, "changed_stages", busy)
    (found,) = find_state(project)
    assert (found.what, found.wrong) == ("a run is going on", False)


@pytest.mark.parametrize(
    "cut", ["schema: '2.0'\nstages:\n  rate:\n    cmd: 'true'\n    deps:\n    - path:", "schema: '2.0'\nstag", "a: ["]
)
def test_a_lock_that_a_kill_has_cut_is_brought_back_from_the_last_commit(project: Path, cut: str) -> None:
    lock = project / "dvc.lock"
    whole = lock.read_text(encoding="utf-8")
    lock.write_text(cut, encoding="utf-8")
    (found,) = find_state(project)
    assert "DVC cannot read dvc.lock" in found.what
    assert found.wrong
    assert found.mend
    found.mend()
    assert lock.read_text(encoding="utf-8") == whole
    assert list(find_state(project)) == []
    git(project, "rm", "--cached", "--quiet", "dvc.lock")
    git(project, "commit", "--quiet", "--message", "no lock")
    lock.write_text(cut, encoding="utf-8")
    (found,) = find_state(project)
    assert (found.mend, found.do.split(",")[0]) == (None, "remove it")
