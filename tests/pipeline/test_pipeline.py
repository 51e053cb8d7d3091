"""The true pipeline, on the packaged model and records, in a repository of its own, as a user meets it through DVC.

The settings are small, nothing is mocked. One `dvc repro` is shared by all stories; each leaves the workspace as it was.
"""

import json
import re
import shutil
import time
from typing import Any

import pandas as pd
import pytest
from small_project import ASIDE, ORDER, Project, outputs, stages_run, table

pytestmark = pytest.mark.slow


def test_every_stage_writes_what_it_should(project: Project) -> None:
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
    assert score["ended"].startswith("the budget of 5 evaluations does not cover the next ones")
    scores = pd.read_parquet(root / "data/scores.parquet")
    assert score["shapley_sum"] == pytest.approx(scores["shapley"].sum(), abs=2e-6)
    assert scores["proxy_scores"].map(sum).tolist() == pytest.approx(scores["shapley"].tolist())
    ratings = pd.read_parquet(root / "data/ratings.parquet").set_index("id")["rating"]
    assert len(ratings) == project.json("metrics/rate.json")["rated"] == 60
    assert selection["id"].tolist() == ratings.sort_values(ascending=False, kind="stable").index[:6].tolist()
    assert scores["score"].tolist() == scores["shapley"].tolist()
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


def test_if_nothing_changed_nothing_runs(project: Project) -> None:
    began = time.monotonic()
    assert stages_run(project.dvc("repro")) == []
    assert time.monotonic() - began < 30  # the README tells the true figure; this only catches a stage that runs
    assert project.changed() == set()


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"sampler": "qwcs"}, "sample"),
        ({"sample": {"fraction": 0.5}}, "sample"),
        ({"sample": {"f": 3.0}}, "sample"),
        ({"sample": {"balance": "length", "floor": 1.0}}, "sample"),
        ({"sampler": "qwcs", "sample": {"within": "rating"}}, "sample"),
        ({"C": 5}, "cluster"),
        ({"cluster": {"proxies_per_cluster": 2}}, "cluster"),
        ({"score": {"metagradient": {"redraw": False}}}, "score"),
        ({"score": {"method": "removal"}}, "score"),
        ({"score": {"seed": 9}}, "score"),
        ({"rate": {"per": "token"}}, "score"),
        ({"regime": {"lr": 0.01}}, "rate"),
        ({"rate": {"seed": 5}}, "rate"),
        ({"rate": {"method": "in_run"}}, "rate"),
        ({"finetune": {"r": 4}}, "finetune"),
        ({"embed": {"batch_size": 8}}, "embed"),
        ({"quality": {"prompt_fit": True}}, "quality"),
        ({"data": {"seed": 2}}, "prepare"),
        ({"data": {"faults": {"share": 0.2}}}, "prepare"),
        ({"evaluate": {"limit": 3}}, "evaluate"),
    ],
)
def test_a_changed_param_reruns_the_stages_that_read_it_and_those_after_them(
    project: Project, change: dict[str, Any], first: str
) -> None:
    project.set(change)
    changed = project.changed()
    read = {"C", "cluster", "sample", "sampler", "score"}  # by what is checked before anything is paid for
    checked = {"lengths"} if change.keys() & read or "per" in change.get("rate", {}) else set()
    also = {  # what reads the same params; fidelity tunes as the final tuning does, and embeds dev for its baselines
        "evaluate": {"evaluate_base", "verdict"},
        "sample": {"export"} if "sampler" in change else set(),  # its card says how rows were selected
        "score": {"fidelity"} if "seed" in change.get("score", {}) else {"sample"} if "rate" in change else set(),
        "rate": {"score", "fidelity"} if "regime" in change else set(),
        "finetune": {"evaluate", "fidelity", "export", "verdict"},
        "embed": {"fidelity", "quality"},
        "prepare": {"quality"} if "seed" in change.get("data", {}) else set(),
    }
    assert changed == {first, "report"} | checked | also.get(first, set())  # the report shows all params
    beside = {"rate": "score", "quality": "sample"}  # and what reads it first
    after = ORDER[ORDER.index(beside.get(first, first)) + (first not in beside) :]
    considered = set(re.findall(r"[Ss]tage '(\w+)'", project.dvc("repro", "--dry", "--downstream", first)))
    assert considered - ASIDE | {first} == {first, *after}


def test_other_forms_of_export_rerun_the_export_alone(project: Project) -> None:
    project.set({"export": {"forms": ["alpaca"]}})
    assert project.changed() == {"export", "report"}  # the report shows all params


def test_the_settings_of_an_estimator_that_is_not_in_use_rerun_the_report_alone(project: Project) -> None:
    project.set({"score": {"removal": {"k": 2}, "regression": {"weighting": "banzhaf"}, "shapiq": {"approximator": "SVARM"}}})
    assert project.changed() == {"report"}  # which shows all params


def test_an_edit_reruns_the_stages_that_run_the_module_and_no_others(project: Project) -> None:
    def add_to_docstring(module: str) -> set[str]:
        path = project.root / module
        path.write_text(path.read_text(encoding="utf-8").replace('"""', '"""Edited. ', 1), encoding="utf-8")
        return project.changed()

    assert add_to_docstring("shed/common/progress.py") == set()
    assert add_to_docstring("shed/selection/sampling.py") == {"lengths", "sample", "verdict"}
    assert add_to_docstring("shed/valuation/estimators/removal.py") == {"lengths", "sample", "score", "verdict"}


def test_an_experiment_with_another_sampler_reruns_what_depends_on_it_and_shows_the_difference(project: Project) -> None:
    output = project.dvc("exp", "run", "-S", "sampler=qwcs", "-n", "with-qwcs")
    assert set(stages_run(output)) == {"lengths", "sample", "finetune", "export", "evaluate", "verdict", "judge", "report"}
    told = project.json("metrics/verdict.json")["sentence"]
    assert f"shed: {told} The page is reports/index.html" in output, "the run ends with the verdict"
    rows = {row["Experiment"]: row for row in table(project.dvc("exp", "show", "--csv"))}
    assert rows["with-qwcs"]["sampler"] == "qwcs"
    difference = project.dvc("metrics", "diff", "--md")
    assert "metrics/tuned.json" in difference
    assert "metrics/score.json" not in difference
    page = project.dvc("plots", "show", "-o", "plots")
    assert (project.root / "plots" / "index.html").read_text().count("vega") > 3, page
    shutil.rmtree(project.root / "plots")


def test_an_experiment_in_a_copy_pays_only_for_new_evaluations(project: Project) -> None:
    before = project.evaluations()
    output = project.dvc("exp", "run", "--temp", "-S", "score.budget.evaluations=7", "-n", "another-pair")
    assert stages_run(output)[:2] == ["lengths", "score"], "the budget is checked first"
    after = project.evaluations()
    assert {key: after[key] for key in before} == before  # found, not measured again
    assert len(after) - len(before) == 2  # the audit's coalitions are the same, so it pays nothing
    assert project.json("metrics/score.json")["evaluations"] == 5  # the workspace is as it was


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
        f"{split}_{measure}{end}" for split in ("dev", "test") for measure in ("loss", "generation") for end in ("", "_stderr")
    }
    before = outputs(project.root)
    (project.root / "mine.jsonl").write_text('{"instruction": "only one", "output": "record"}\n')
    output = project.dvc("repro", ok=False)
    assert "shed: error: the pool has 1 usable records and needs 2; set aside: none (data.pool in params.yaml)" in output
    told = {"data/inputs.json", "data/prepared/rejects.jsonl"}  # what is there now, and why its rows cannot be used
    assert {name for name, content in outputs(project.root).items() if before[name] != content} == told


def test_made_anew_from_nothing_it_is_the_same_to_the_byte(project: Project) -> None:
    before = outputs(project.root)
    shutil.rmtree(project.root / ".shed")  # the ledgers: every number is measured again
    project.run("git", "clean", "-q", "-f", "-d", "-X", "data", "reports")
    assert set(stages_run(project.dvc("repro", "--force", "--no-run-cache"))) == {*ORDER, *ASIDE}
    after = outputs(project.root)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == set()
    assert project.run("git", "status", "--porcelain", "--untracked-files=no") == ""  # metrics and dvc.lock, too
