"""dvc.yaml declares what the code does: each stage's modules and params, no more and no less."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
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
            if name.split(".")[0] == "shed" and module.exists():
                imported(module, seen)
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_modules_it_runs(stage: str) -> None:
    declared = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    used = {str(path.relative_to(ROOT)) for path in imported(ROOT / "stages" / f"{stage}.py", set())}
    assert declared == used - WITHOUT_EFFECT_ON_OUTPUTS


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_exactly_the_params_it_reads(stage: str) -> None:
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "params"}
    assert read == {param.split(".")[0] for param in STAGES[stage]["params"]}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_every_file_it_reads_and_writes(stage: str) -> None:
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    named = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    templated = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr)}
    named |= {f"data/prepared/{split}.jsonl" for split in ("dev", "test") if any("{split}.jsonl" in text for text in templated)}
    files = {name for name in named if name.startswith(("data/", "metrics/")) and not name.endswith("/")}
    definition = STAGES[stage]
    declared = [*definition["deps"], *definition.get("outs", []), *definition.get("metrics", [])]
    paths = {next(iter(entry)) if isinstance(entry, dict) else entry for entry in declared}
    code = {path for path in paths if path.startswith(("shed/", "stages/", "${"))}
    wheels = (
        {"data/wheels.json"} if stage == "prepare" else set()
    )  # orders prepare after fetch; the recipes hold the same digests
    embedder = {"data/embedder.json"} if stage == "embed" else set()  # these stand for the weights themselves
    model = {"data/model.json"} if stage in {"finetune", "evaluate", "evaluate_base"} else set()
    assert files == paths - code - wheels - embedder - model


def test_every_stage_has_a_description_and_is_run_by_the_environments_python() -> None:
    for name, stage in STAGES.items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name}"
