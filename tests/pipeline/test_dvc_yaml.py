"""dvc.yaml declares what the code does: each stage's code, params and files, no more and no less."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shed.common.import_closure import import_closure
from shed.params import Params, Score
from tools.dvc_deps import pipelines, renewed

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAND_INS = {  # digests of what is read elsewhere, so that DVC sees a change; or what must be found possible first
    "prepare": {"data/inputs.json"},
    "lengths": {"data/given.json"},
    "rate": {"data/lengths.parquet"},
    "sample": {"data/given.json"},
}


def program(stage: str) -> str:
    (found,) = re.findall(r"python -m ([\w.]+)", STAGES[stage]["cmd"])
    return str(found)


def nodes(stage: str) -> list[ast.AST]:
    """The syntax of the stage's program, and of what it shares."""
    found: list[ast.AST] = []
    for path in import_closure(program(stage)):
        if path.is_relative_to(ROOT / "stages"):
            found += ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("path", pipelines(), ids=lambda path: str(path.relative_to(ROOT)))
def test_code_deps_are_what_the_programs_import(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == renewed(path), "stale: run make deps"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_exactly_the_params_it_reads(stage: str) -> None:
    dotted = {ast.unparse(node) for node in nodes(stage) if isinstance(node, ast.Attribute)}
    read = {name.split(".")[1] for name in dotted if name.startswith("params.")}
    if any(
        isinstance(node, ast.Call) and ast.unparse(node.func) == "describe" for node in nodes(stage)
    ):  # a page that shows all
        assert set(STAGES[stage]["params"]) == {*Params.model_fields} - {"engine", "engine_address"}
        return
    assert read == {param.split(".")[0] for param in STAGES[stage]["params"]}


def test_scoring_declares_all_its_settings_but_those_of_estimators_that_are_not_in_use() -> None:
    declared = {param.removeprefix("score.") for param in STAGES["score"]["params"] if param.startswith("score.")}
    methods = set(Score.model_fields["method"].annotation.__args__)  # type: ignore[union-attr]
    assert methods <= set(Score.model_fields)
    assert declared - {"${score.method}"} == set(Score.model_fields) - methods


def test_the_audit_declares_the_settings_of_scoring_that_it_reads() -> None:
    dotted = {ast.unparse(node) for node in nodes("fidelity") if isinstance(node, ast.Attribute)}
    read = {name.removeprefix("params.") for name in dotted if re.fullmatch(r"params\.score\.\w+", name)}
    assert read == {param for param in STAGES["fidelity"]["params"] if param.startswith("score.")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_every_file_it_reads_and_writes(stage: str) -> None:
    named = {n.value for n in nodes(stage) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    templated = {ast.unparse(n) for n in nodes(stage) if isinstance(n, ast.JoinedStr)}
    named |= {f"data/prepared/{split}.jsonl" for split in ("dev", "test") if any("{split}.jsonl" in text for text in templated)}
    files = {name for name in named if name.startswith(("data/", "metrics/", "reports/")) and not name.endswith("/")}
    definition = STAGES[stage]
    declared = [*definition["deps"], *definition.get("outs", []), *definition.get("metrics", [])]
    paths = {next(iter(entry)) if isinstance(entry, dict) else entry for entry in declared}
    code = {path for path in paths if path.startswith(("shed/", "stages/", "${"))}
    assert files == paths - code - STAND_INS.get(stage, set())


def test_the_main_job_reads_nothing_that_another_pipeline_makes() -> None:
    """Nothing flows back: every dep is code, a recipe of params, or the out of a stage of this file."""
    outs = {
        next(iter(out)) if isinstance(out, dict) else out
        for stage in STAGES.values()
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]
    }
    deps = {dep for stage in STAGES.values() for dep in stage["deps"]}
    assert {dep for dep in deps if not dep.startswith(("shed/", "stages/", "${"))} <= outs
    imported = {path for stage in STAGES for path in import_closure(program(stage))}
    assert not {path for path in imported if path.is_relative_to(ROOT / "experiments")}


def test_every_stage_has_a_description_and_is_run_by_the_environments_python() -> None:
    for name, stage in STAGES.items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name}"
