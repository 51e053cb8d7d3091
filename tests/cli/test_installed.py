"""The package as it is installed: a wheel has the command, the stages and the template, and needs no checkout beside it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from project_calls import write_rows

from shed.params import load_params

LAUNCHER = "#!{python}\nimport sys\nsys.path.insert(0, {site!r})\nfrom shed.cli.app import main\nmain()\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a shell where the wheel of this project is installed and its checkout is far away."""
    root, built = Path(__file__).parents[2], tmp_path_factory.mktemp("wheel")
    source = built / "source"  # a build leaves things beside what it builds
    for folder in ("shed", "stages"):
        shutil.copytree(root / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(root / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    site, programs = built / "site", built / "bin"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    programs.mkdir()
    launcher = programs / "shed"
    launcher.write_text(LAUNCHER.format(python=sys.executable, site=str(site)), encoding="utf-8")
    launcher.chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    user = {f"GIT_{name}_{what}": "user@example.org" for name in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **user, "PATH": path, "GIT_CEILING_DIRECTORIES": str(built.parent.parent)}


def run(environment: dict[str, str], folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_from_a_wheel_and_a_file_to_prepared_data_and_on_to_an_upgrade(environment: dict[str, str], tmp_path: Path) -> None:
    for n, split in enumerate(("pool", "dev", "test")):
        write_rows(tmp_path / f"{split}.jsonl", 60, 1_000 * n)
    data = [word for split in ("pool", "dev", "test") for word in (f"--{split}", f"{split}.jsonl")]
    run(environment, tmp_path, "shed", "init", "mine", *data)
    project = tmp_path / "mine"
    assert load_params(project / "params.yaml").C == 4
    said = run(environment, project, "dvc", "repro", "lengths")
    assert "pool: 60 rows read, 60 kept" in said
    assert (project / "data/lengths.parquet").is_file()
    run(environment, project, "dvc", "repro", "lengths", "--dry")
    code = project / "pipeline.json"
    code.write_text(code.read_text(encoding="utf-8").replace('"lengths": "', '"lengths": "0'), encoding="utf-8")
    assert "Running stage 'lengths'" in (dry := run(environment, project, "dvc", "repro", "lengths", "--dry"))
    assert "Running stage 'prepare'" not in dry
    run(environment, project, "shed", "upgrade")
    assert "Running stage 'lengths'" not in run(environment, project, "dvc", "repro", "lengths", "--dry")
