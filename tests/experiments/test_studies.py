"""The pipelines of experiments/: every program is a stage, and a stage declares what its program reads and writes, and no more.

What a program reads is found in its source and in the definitions of `experiments` and `stages` that it uses, directly or not.
"""

import ast
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from shed.params import Params, Section

ROOT = Path(__file__).parents[2]
FOLDERS = ("compare", "valuation", "selection")
PIPELINES: dict[str, dict[str, Any]] = {
    folder: yaml.safe_load((ROOT / f"experiments/{folder}/dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for folder in FOLDERS
}
STAGES = [(folder, stage) for folder, stages in PIPELINES.items() for stage in stages]
STUDIES = [(folder, stage) for folder, stage in STAGES if folder != "compare"]
MANIFESTS = {"data/model.json", "data/embedder.json"}  # for models, which are read from the cache
PREFIXES = ("data/", "metrics/", "experiments/")

Definition = tuple[str, str]  # a module, and a name at its top


def program_of(folder: str, stage: str) -> str:
    """The one module that a stage's command runs."""
    found = re.fullmatch(r"cd \.\./\.\. && env -u DVC_ROOT python -m ([\w.]+)(?: \$\{.*\})?", PIPELINES[folder][stage]["cmd"])
    assert found, f"{folder}: {stage} is not run as the other stages are"
    return found[1]


@cache
def parsed(module: str) -> tuple[dict[str, list[ast.stmt]], dict[str, Definition]]:
    """What a module defines at its top by name, and the names that it takes from modules of `experiments` and `stages`."""
    own: dict[str, list[ast.stmt]] = {}
    taken: dict[str, Definition] = {}
    path = ROOT / module.replace(".", "/")
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in {"experiments", "stages"}:
            taken |= {alias.asname or alias.name: (str(node.module), alias.name) for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.setdefault(node.name, []).append(node)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            targets = [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
            for name in targets or ["__main__"]:
                own.setdefault(name, []).append(node)
    return own, taken


@cache
def reached(program: str) -> list[ast.stmt]:
    """The program's statements, and the definitions that they use."""
    todo, seen, found = [(program, name) for name in parsed(program)[0]], set(), []
    while todo:
        module, name = todo.pop()
        own, taken = parsed(module)
        if (module, name) in seen:
            continue
        seen.add((module, name))
        if name in taken:
            todo.append(taken[name])
        for statement in own.get(name, []):
            found.append(statement)
            todo += [(module, node.id) for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return found


def params_read(program: str) -> set[str]:
    """The dotted names of the params that are read, as short as they can be: a section all of whose keys are read is one."""
    found = set()
    for statement in reached(program):
        attributes = [node for node in ast.walk(statement) if isinstance(node, ast.Attribute)]
        inner = {id(node.value) for node in attributes}
        chains = [ast.unparse(node).split(".") for node in attributes if id(node) not in inner]
        found |= {dotted(names) for base, *names in chains if base in {"params", "load_params()"}}
    return shortened(found - {""})


def dotted(names: list[str]) -> str:
    """A param's name: of the attributes that are taken from `params` those that are params."""
    section: Any = Params
    kept = []
    for name in names:
        if not (isinstance(section, type) and issubclass(section, Section) and name in section.model_fields):
            break
        kept.append(name)
        section = section.model_fields[name].annotation
    return ".".join(kept)


def shortened(found: set[str]) -> set[str]:
    for name, field in Params.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            keys = {f"{name}.{key}" for key in section.model_fields}
            if name in found or keys <= found:
                found = {one for one in found if not one.startswith(f"{name}.")} | {name}
    return found


def declared_params(folder: str, stage: str) -> dict[str, set[str]]:
    """The declared params by their file; those of the `params.yaml` beside `dvc.yaml` stand without one."""
    found: dict[str, set[str]] = {}
    for entry in PIPELINES[folder][stage].get("params", []):
        for path, names in (entry if isinstance(entry, dict) else {"params.yaml": [entry]}).items():
            found.setdefault(os.path.normpath(f"experiments/{folder}/{path}"), set()).update(names)
    return found


def paths(folder: str, entries: list[Any]) -> set[str]:
    """Declared paths from the project's root, with what `dvc.yaml` leaves open as `*`."""
    names = [re.sub(r"\$\{.*?\}", "*", next(iter(entry)) if isinstance(entry, dict) else entry) for entry in entries]
    return {os.path.normpath(f"experiments/{folder}/{name}") for name in names}


def files_named(program: str) -> set[str]:
    """The files that are named in the code, with `*` for what an f-string fills in."""
    found = set()
    for statement in reached(program):
        inner = {id(part) for node in ast.walk(statement) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        for node in ast.walk(statement):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                found.add(node.value)
    return {name for name in found if name.startswith(PREFIXES) and " " not in name}


def fits(declared: str, named: str) -> bool:
    """Whether a declared path is one that the code names, or a folder that holds it."""
    pattern = re.escape(named).replace(r"\*", r"[^/]+")
    return bool(re.fullmatch(pattern, declared)) or named.startswith(f"{declared}/")


def data_of(folder: str, stage: str) -> set[str]:
    """The deps that are not code."""
    deps = paths(folder, PIPELINES[folder][stage]["deps"])
    return {path for path in deps if path.startswith(PREFIXES) and not path.endswith(".py")}


@pytest.mark.parametrize("folder", ["valuation", "selection"])
def test_every_study_is_a_stage(folder: str) -> None:
    programs = {path.stem for path in (ROOT / f"experiments/{folder}").glob("*.py")} - {"__init__"}
    assert programs == set(PIPELINES[folder])


@pytest.mark.parametrize(("folder", "stage"), STAGES)
def test_a_stage_runs_its_own_program_and_says_what_it_is(folder: str, stage: str) -> None:
    named = {"curve": "run"}.get(stage, stage)
    assert program_of(folder, stage) == f"experiments.{folder}.{named}"
    assert PIPELINES[folder][stage]["desc"]


@pytest.mark.parametrize(("folder", "stage"), STAGES)
def test_a_stage_declares_exactly_the_params_that_its_program_reads(folder: str, stage: str) -> None:
    declared = declared_params(folder, stage)
    read = params_read(program_of(folder, stage)) - {"engine", "engine_address"}  # which no number depends on
    assert declared.pop("params.yaml", set()) == read
    settings = {"experiments/compare/params.yaml": {"contenders", "curve"}}
    reads_settings = any("load_settings()" in ast.unparse(one) for one in reached(program_of(folder, stage)))
    assert declared == (settings if reads_settings else {})


@pytest.mark.parametrize(("folder", "stage"), STAGES)
def test_a_stage_declares_exactly_the_files_that_its_program_reads_and_writes(folder: str, stage: str) -> None:
    named = files_named(program_of(folder, stage)) - {"experiments/compare/params.yaml"}
    data, outs = data_of(folder, stage), paths(folder, PIPELINES[folder][stage]["outs"])
    undeclared = {name for name in named if not any(fits(path, name) for path in data | outs)}
    unused = {path for path in data | outs if not any(fits(path, name) for name in named)}
    assert not undeclared
    assert unused <= MANIFESTS


@pytest.mark.parametrize(("folder", "stage"), STUDIES)
def test_a_study_writes_its_committed_result(folder: str, stage: str) -> None:
    outs = PIPELINES[folder][stage]["outs"]
    names = [name for out in outs for name in out]
    assert names[0] == f"{stage}.json"
    assert outs == [{name: {"cache": False, "persist": True}} for name in names]
    assert all((ROOT / f"experiments/{folder}/{name}").is_file() for name in names)
