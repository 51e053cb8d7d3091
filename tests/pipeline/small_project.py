"""A clone of this project with small settings, for stories of the true pipeline."""

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

SMALL: dict[str, Any] = {
    "C": 6,
    "data": {"pool_rows": 60, "dev_rows": 8, "test_rows": 12},
    "cluster": {"proxies_per_cluster": 1},
    "regime": {"depth": 2, "batch_size": 4},
    "rate": {"warm_rows": 8, "dev_rows": 4},
    "score": {
        "metagradient": {"check_smoothness": True},
        "budget": {"evaluations": 5, "fte": None},
        "dev_rows": 4,
    },
    "finetune": {"batch_size": 4, "epochs": 1},
    "evaluate": {"limit": 4, "batch_size": 4},
    "verdict": {"seeds": 0},
    "fidelity": {"coalitions": 4, "target_coalitions": 4, "target_draws": 2},
}
ORDER = ["prepare", "embed", "cluster", "score", "sample", "finetune", "evaluate", "report"]
ASIDE = {
    "quality",
    "lengths",
    "rate",
    "fidelity",
    "export",
    "evaluate_base",
    "verdict",
    "judge",
}  # of these the first three change a selection


class Project:
    """A clone of this project with small settings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}
        self.env.pop("DVC_ROOT", None)

    def run(self, *command: str, ok: bool = True) -> str:
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, output
        return output

    def dvc(self, *arguments: str, ok: bool = True) -> str:
        return self.run("dvc", *arguments, ok=ok)

    def set(self, changes: dict[str, Any]) -> None:
        yaml, path = YAML(), self.root / "params.yaml"
        params = yaml.load(path.read_text(encoding="utf-8"))
        merge(params, changes)
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(params, file)

    def changed(self) -> frozenset[str]:
        """The stages that `dvc status` calls changed, but for `fetch`, which it always does."""
        return frozenset(json.loads(self.dvc("status", "--json"))) - {"fetch"}

    def evaluations(self) -> dict[tuple[str, str], float]:
        """(game, coalition) to the seconds that its one measurement took."""
        path = self.root / ".shed" / "ledger.sqlite"
        if not path.exists():
            return {}
        with sqlite3.connect(path, timeout=30) as connection:
            return {(g, c): s for g, c, s in connection.execute("SELECT game, coalition, seconds FROM evaluations")}

    def runs(self) -> dict[str, int]:
        """The runs of the ledger of runs, and when each was written."""
        return {path.name: path.stat().st_mtime_ns for path in (self.root / ".shed" / "runs").glob("*.parquet")}

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text(encoding="utf-8"))


def merge(into: Any, changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            merge(into[key], value)
        else:
            into[key] = value


def outputs(root: Path) -> dict[str, bytes]:
    """All that the stages have written."""
    files = [path for folder in ("data", "metrics") for path in (root / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def stages_run(output: str) -> list[str]:
    """The stages that DVC ran, but for `fetch`, which always runs."""
    return [stage for stage in re.findall(r"Running stage '(\w+)'", output) if stage != "fetch"]


def table(text: str) -> list[dict[str, str]]:
    """The rows of what `dvc exp show --csv` prints."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Experiment"))
    return list(csv.DictReader(lines[start:]))
