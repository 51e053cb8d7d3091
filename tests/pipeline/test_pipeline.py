"""The true pipeline, on the packaged model and records, in a repository of its own, as a user meets it through DVC.

The settings are small, nothing is mocked. One `dvc repro` is shared by all stories here; each leaves the workspace as it was.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "C": 6,
    "data": {"pool_rows": 60, "dev_rows": 8, "test_rows": 12},
    "cluster": {"proxies_per_cluster": 1},
    "rate": {"warm_rows": 8, "dev_rows": 4},
    "score": {
        "check_smoothness": True,
        "budget": {"evaluations": 5, "fte": None},
        "dev_rows": 4,
        "tuning": {"depth": 2, "batch_size": 4},
    },
    "finetune": {"batch_size": 4, "epochs": 1},
    "evaluate": {"limit": 4, "batch_size": 4},
    "fidelity": {"coalitions": 4, "target_coalitions": 4, "target_draws": 2},
}
ORDER = ["fetch", "prepare", "embed", "cluster", "score", "sample", "finetune", "evaluate", "report"]
ASIDE = {"rate", "fidelity", "evaluate_base", "judge"}  # beside that line; only the ratings change a selection


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

    def evaluations(self) -> dict[tuple[str, str], float]:
        """(game, coalition) to the seconds that its one measurement took."""
        path = self.root / ".shed" / "ledger.sqlite"
        if not path.exists():
            return {}
        with sqlite3.connect(path, timeout=30) as connection:
            return {(g, c): s for g, c, s in connection.execute("SELECT game, coalition, seconds FROM evaluations")}

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
    return re.findall(r"Running stage '(\w+)'", output)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    source, root = Path(__file__).parent.parent, tmp_path_factory.mktemp("project") / "shed"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=source, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith("tests/") and name != "dvc.lock" and (source / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, root / name)
    shutil.rmtree(root / "metrics", ignore_errors=True)
    for name in ("wheels", "embedder", "model"):
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
    yield reproduced
    reproduced.run("git", "checkout", "-q", "-f", "main")
    reproduced.dvc("checkout")


def test_every_step_left_what_it_should(project: Project) -> None:
    root = project.root
    selection = pd.read_parquet(root / "data/selection.parquet")
    assert len(selection) == 6
    assert selection.columns.tolist() == ["id", "source", "cluster", "score", "reason"]
    rows = [json.loads(line) for line in (root / "data/selection.jsonl").open()]
    assert [row["id"] for row in rows] == selection["id"].tolist()
    assert all(row["messages"] and row["origin"] and row["reason"] for row in rows)
    score = project.json("metrics/score.json")
    assert score["v_all_minus_v_none"] == pytest.approx(score["v_all"] - score["v_none"], abs=2e-6)
    assert (score["evaluations"], score["gradient_runs"]) == (5, 3)
    assert score["ended"].startswith("the budget of 5 evaluations is spent")
    scores = pd.read_parquet(root / "data/scores.parquet")
    assert score["shapley_sum"] == pytest.approx(scores["shapley"].sum(), abs=2e-6)
    assert scores["proxy_scores"].map(sum).tolist() == pytest.approx(scores["shapley"].tolist())
    ratings = pd.read_parquet(root / "data/ratings.parquet").set_index("id")["rating"]
    assert len(ratings) == project.json("metrics/rate.json")["rated"] == 60
    assert selection["id"].tolist() == ratings.sort_values(ascending=False, kind="stable").index[:6].tolist()
    clusters = pd.read_parquet(root / "data/clusters.parquet").set_index("id")["cluster"]
    means = ratings.groupby(clusters).mean()
    assert scores.set_index("cluster")["score"].sort_index().tolist() == pytest.approx(means.tolist())
    fidelity = project.json("metrics/fidelity.json")
    assert fidelity["rank_reliability"] == pytest.approx(score["shapley_rank_stability"], abs=2e-6)
    assert set(fidelity["target"]) >= {"shapley", "rating", "bm25", "cosine", "length", "random"}
    assert len(project.evaluations()) == 5 + fidelity["scoring"]["coalitions"] + 2 * fidelity["target"]["coalitions"]
    assert set(project.json("metrics/tasks.json")["tuned"]) == {
        "dev_commonsenseqa",
        "test_commonsenseqa",
        "test_openbookqa",
        "test_mmlu",
    }
    base, tuned, change = (project.json(f"metrics/{name}.json") for name in ("base", "tuned", "change"))
    for measure in ("test_accuracy", "test_loss", "dev_accuracy", "dev_loss"):
        assert change[measure] == pytest.approx(tuned[measure] - base[measure], abs=2e-6)
    adapter = project.json("data/adapter/adapter_config.json")
    assert adapter["base_model_name_or_path"] == "packaged/smollm2-135m-instruct"
    card = project.json("metrics/data.json")["pool"]
    rejects = sum(1 for _ in (root / "data/prepared/rejects.jsonl").open())
    assert card["in"] == card["kept"] + card["rejected"] == 12829
    assert rejects == sum(project.json("metrics/data.json")[split]["rejected"] for split in ("pool", "dev", "test"))
    page = (root / "reports/index.html").read_text(encoding="utf-8")
    assert f"{tuned['test_loss']:.2f}" in page
    assert str(root) not in page
    assert str(root) not in (root / "dvc.lock").read_text()


def test_nothing_changed_nothing_runs(project: Project) -> None:
    began = time.monotonic()
    assert stages_run(project.dvc("repro")) == []
    assert time.monotonic() - began < 30  # the README tells the true figure; this only catches a stage that runs
    assert "up to date" in project.dvc("status")


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"sampler": "qwcs"}, "sample"),
        ({"sample": {"fraction": 0.5}}, "sample"),
        ({"sample": {"f": 3.0}}, "sample"),
        ({"C": 5}, "cluster"),
        ({"cluster": {"proxies_per_cluster": 2}}, "cluster"),
        ({"score": {"k": 2}}, "score"),
        ({"score": {"seed": 9}}, "score"),
        ({"score": {"tuning": {"lr": 0.01}}}, "rate"),
        ({"rate": {"seed": 5}}, "rate"),
        ({"finetune": {"r": 4}}, "finetune"),
        ({"embed": {"batch_size": 8}}, "embed"),
        ({"data": {"seed": 2}}, "prepare"),
        ({"data": {"faults": {"share": 0.2}}}, "prepare"),
        ({"evaluate": {"limit": 3}}, "evaluate"),
    ],
)
def test_a_changed_param_concerns_one_stage_and_what_comes_after(project: Project, change: dict[str, Any], first: str) -> None:
    project.set(change)
    changed = set(json.loads(project.dvc("status", "--json")))
    also = {  # what reads the same params; fidelity tunes as the final tuning does, and embeds dev for its baselines
        "evaluate": {"evaluate_base"},
        "score": {"fidelity"},
        "rate": {"score", "fidelity"} if "score" in change else set(),
        "finetune": {"fidelity"},
        "embed": {"fidelity"},
    }
    assert changed == {first, "report"} | also.get(first, set())  # the report shows all params
    after = ORDER[ORDER.index("score" if first == "rate" else first) + (first != "rate") :]
    considered = set(re.findall(r"[Ss]tage '(\w+)'", project.dvc("repro", "--dry", "--downstream", first)))
    assert considered - ASIDE | {first} == {first, *after}


def test_an_edit_reruns_the_stages_that_run_the_module_and_no_others(project: Project) -> None:
    def add_to_docstring(module: str) -> set[str]:
        path = project.root / module
        path.write_text(path.read_text(encoding="utf-8").replace('"""', '"""Edited. ', 1), encoding="utf-8")
        return set(json.loads(project.dvc("status", "--json")))

    assert add_to_docstring("shed/progress.py") == set()
    assert add_to_docstring("shed/sampling.py") == {"sample"}
    assert add_to_docstring("shed/valuation/removal.py") == {"sample", "score"}


def test_an_experiment_with_another_sampler_reruns_what_comes_of_it_and_shows_its_difference(project: Project) -> None:
    output = project.dvc("exp", "run", "-S", "sampler=qwcs", "-n", "with-qwcs")
    assert set(stages_run(output)) == {"sample", "finetune", "evaluate", "judge", "report"}
    rows = {row["Experiment"]: row for row in json_table(project.dvc("exp", "show", "--csv"))}
    assert rows["with-qwcs"]["sampler"] == "qwcs"
    difference = project.dvc("metrics", "diff", "--md")
    assert "metrics/tuned.json" in difference
    assert "metrics/score.json" not in difference
    page = project.dvc("plots", "show", "-o", "plots")
    assert (project.root / "plots" / "index.html").read_text().count("vega") > 3, page
    shutil.rmtree(project.root / "plots")


def test_an_experiment_in_a_copy_pays_only_for_the_evaluations_that_are_new(project: Project) -> None:
    before = project.evaluations()
    output = project.dvc("exp", "run", "--temp", "-S", "score.budget.evaluations=7", "-n", "another-pair")
    assert stages_run(output)[0] == "score"
    after = project.evaluations()
    assert {key: after[key] for key in before} == before  # found, not measured again
    assert len(after) - len(before) == 2  # the audit's coalitions are the same, so it pays nothing
    assert project.json("metrics/score.json")["evaluations"] == 5  # the workspace is as it was


def test_killed_in_the_middle_of_scoring_and_started_again(project: Project) -> None:
    project.set({"score": {"method": "removal", "seed": 9, "k": 3, "budget": {"evaluations": None}}})
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


def test_a_model_that_is_not_there_is_one_line(project: Project) -> None:
    project.env["HF_HUB_OFFLINE"] = "1"
    output = project.dvc("exp", "run", "--temp", "-S", "model.name=no/such-model", ok=False)
    del project.env["HF_HUB_OFFLINE"]
    assert (
        "shed: error: 'no/such-model' is no packaged language model (packaged/smollm2-135m-instruct) and no local folder"
        in output
    )
    assert "Traceback" not in output


def test_a_mistake_in_the_params_is_one_line_and_loses_nothing(project: Project) -> None:
    before = outputs(project.root)
    output = project.dvc("exp", "run", "-S", "sampler=qwxs", ok=False)
    assert "shed: error: params.yaml: sampler is 'qwxs'; it must be 'top', 'qocs', 'qwcs', 'random' or 'full'" in output
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


def test_a_users_own_files_in_both_forms(project: Project) -> None:
    pool = [
        {"instruction": f"What is {i} plus {j}?", "input": "", "output": f"It is {i + j}."} for i in range(6) for j in range(6)
    ]
    chats = [
        {"messages": [{"role": "user", "content": f"Add {i} and 9"}, {"role": "assistant", "content": f"It is {i + 9}."}]}
        for i in range(8)
    ]
    (project.root / "mine.jsonl").write_text("\n".join(map(json.dumps, [*pool, *pool[:2]])))
    (project.root / "my_dev.json").write_text(json.dumps(chats[:4]))
    (project.root / "my_test.jsonl").write_text("\n".join(map(json.dumps, [*chats[4:], chats[0]])))
    project.set({"data": {"pool": "mine.jsonl", "dev": "my_dev.json", "test": "my_test.jsonl", "pool_rows": None}})
    assert stages_run(project.dvc("repro"))[-1] == "report"
    card = project.json("metrics/data.json")
    assert card["pool"]["rejected_by_reason"] == {"exact_duplicate": 2}
    assert card["test"]["rejected_by_reason"] == {"in_dev": 1}
    assert set(project.json("metrics/tasks.json")["change"]) == {"dev_my_dev", "test_my_test"}
    assert set(project.json("metrics/change.json")) == {
        f"{split}_loss{end}" for split in ("dev", "test") for end in ("", "_stderr")
    }
    before = outputs(project.root)
    (project.root / "mine.jsonl").write_text('{"instruction": "only one", "output": "record"}\n')
    output = project.dvc("repro", ok=False)
    assert "shed: error: data.pool: 1 usable records are left, 2 are needed; set aside: none" in output
    assert outputs(project.root) == before


def json_table(csv: str) -> list[dict[str, str]]:
    import csv as reader

    lines = csv.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Experiment"))
    return list(reader.DictReader(lines[start:]))
