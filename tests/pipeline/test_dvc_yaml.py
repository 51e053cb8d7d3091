"""dvc.yaml declares what the code does: each stage's modules and params, no more and no less."""

import ast
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
COMPARISON: dict[str, Any] = yaml.safe_load((ROOT / "experiments/compare/dvc.yaml").read_text(encoding="utf-8"))["stages"]
WITHOUT_EFFECT_ON_OUTPUTS = {"shed/errors.py", "shed/progress.py", "shed/params.py"}


def imported(path: Path, seen: set[Path]) -> set[Path]:
    """The project's modules that a file imports, directly or not, at its top or inside a function."""
    if path in seen:
        return seen
    seen.add(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            module = ROOT / (name.replace(".", "/") + ".py")
            if name.split(".")[0] in {"shed", "stages", "experiments"} and module.exists():
                imported(module, seen)
    return seen


def stage_files(stage: str) -> list[Path]:
    """The stage's own file and those of `stages` that it imports."""
    return [path for path in imported(ROOT / "stages" / f"{stage}.py", set()) if path.parent.name == "stages"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_modules_it_runs(stage: str) -> None:
    declared = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    used = {str(path.relative_to(ROOT)) for path in imported(ROOT / "stages" / f"{stage}.py", set())}
    assert declared == used - WITHOUT_EFFECT_ON_OUTPUTS


@pytest.mark.parametrize("stage", COMPARISON)
def test_a_stage_of_the_comparison_depends_on_exactly_the_modules_it_runs(stage: str) -> None:
    programs = re.findall(r"-m experiments\.compare\.(\w+)", COMPARISON[stage]["cmd"])
    used = set().union(*(imported(ROOT / f"experiments/compare/{program}.py", set()) for program in programs))
    declared = {os.path.normpath(f"experiments/compare/{dep}") for dep in COMPARISON[stage]["deps"] if dep.endswith(".py")}
    assert programs
    assert declared == {str(path.relative_to(ROOT)) for path in used} - WITHOUT_EFFECT_ON_OUTPUTS


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_exactly_the_params_it_reads(stage: str) -> None:
    read = set()
    for path in stage_files(stage):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        read |= {
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "params"
        }
    if STAGES[stage]["params"] == [{"params.yaml": None}]:  # the whole file, which only a page that shows it all may need
        assert any("describe(params)" in path.read_text(encoding="utf-8") for path in stage_files(stage))
        return
    assert read == {param.split(".")[0] for param in STAGES[stage]["params"]}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_every_file_it_reads_and_writes(stage: str) -> None:
    nodes = [n for path in stage_files(stage) for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    named = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    templated = {ast.unparse(n) for n in nodes if isinstance(n, ast.JoinedStr)}
    named |= {f"data/prepared/{split}.jsonl" for split in ("dev", "test") if any("{split}.jsonl" in text for text in templated)}
    files = {name for name in named if name.startswith(("data/", "metrics/", "reports/")) and not name.endswith("/")}
    definition = STAGES[stage]
    declared = [*definition["deps"], *definition.get("outs", []), *definition.get("metrics", [])]
    paths = {next(iter(entry)) if isinstance(entry, dict) else entry for entry in declared}
    code = {path for path in paths if path.startswith(("shed/", "stages/", "${"))}
    stand_ins = {  # what these digests stand for is read from the cache; dvc.yaml names them so that DVC sees a change
        "prepare": {"data/wheels.json"},
        "embed": {"data/embedder.json"},
        "fidelity": {"data/embedder.json"},
        **{name: {"data/model.json"} for name in ("rate", "finetune", "evaluate", "evaluate_base", "judge")},
    }
    assert files == paths - code - stand_ins.get(stage, set())


def test_every_stage_has_a_description_and_is_run_by_the_environments_python() -> None:
    for name, stage in STAGES.items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name}"
