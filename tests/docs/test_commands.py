"""Every command in the pages can be typed: its target, module, stage, file and params exist."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclopts import CoercionError, CycloptsError, MissingArgumentError
from markdown_page import PAGES, ROOT, console, name, spans
from ruamel.yaml import YAML

from shed.cli.app import command_line
from shed.params import Params

DVC = {"repro", "exp run", "exp show", "exp apply", "metrics diff", "metrics show", "plots show", "dag"}
STARTS = ("make ", "python -m ", "dvc ", "cp ", "source ", "shed ")
USERS = re.compile(r"my_\w+\.jsonl")
PLACEHOLDER = re.compile(r"[A-Z]+(?:-[\d.]+)?")  # NAME, to be filled in by the reader
COMMANDS = [
    *((name(page), block) for page in PAGES for block in console(page.read_text(encoding="utf-8"))),
    *(
        (name(page), [span])
        for page in PAGES
        for span in dict.fromkeys(spans(page.read_text("utf-8")))
        if span.startswith(STARTS)
    ),
]


@pytest.mark.parametrize(("page", "block"), COMMANDS, ids=[f"{page}: {block[0]}" for page, block in COMMANDS])
def test_a_command_can_be_typed(page: str, block: list[str]) -> None:
    params = ROOT / "params.yaml"
    for command in block:
        words = shlex.split(command)
        while re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words[0] == "cp":
            source, target = words[1:]
            assert (ROOT / source).is_file()
            params = ROOT / source if target == "params.yaml" else params
        elif words[0] == "source":
            assert words[1:] == [".venv/bin/activate"]
        elif words[0] == "make":
            assert set(words[1:]) <= targets(), command
        elif words[0] == "python":
            assert words[1] == "-m"
            assert module_exists(words[2]), command
        elif words[0] == "dvc":
            check_dvc(words[1:], params)
        elif words[0] == "shed":
            check_shed(words[1:])
        elif words[0] == "ray":
            assert words[1:] == ["up", "cluster.yaml"]
        else:
            pytest.fail(f"{page}: {command}: what is {words[0]}?")


def has_help(module: str) -> bool:
    """Whether a module of the project reads its arguments with argparse: then asking for help costs nothing."""
    path = ROOT / module.replace(".", "/")
    files = [file for file in (path.with_suffix(".py"), path / "__main__.py") if file.is_file()]
    return any("argparse" in file.read_text(encoding="utf-8") for file in files)


TYPED = [shlex.split(command) for _, block in COMMANDS for command in block]
MODULES = sorted({words[2] for words in TYPED if words[:2] == ["python", "-m"] and has_help(words[2])})


@pytest.mark.parametrize("module", MODULES)
def test_a_program_says_how_it_is_used(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"python -m {module}" in done.stdout


def test_an_option_of_shed_that_does_not_exist_is_found() -> None:
    with pytest.raises(CycloptsError):
        check_shed(shlex.split("show --everything"))
    with pytest.raises(CycloptsError):
        check_shed(["shwo"])


def test_a_param_that_does_not_exist_is_found() -> None:
    with pytest.raises(AssertionError, match="samplr"):
        check_dvc(shlex.split("exp run -S samplr=qwcs"), ROOT / "params.yaml")
    with pytest.raises(ValueError, match="sampler"):
        check_dvc(shlex.split("exp run -S sampler=best"), ROOT / "params.yaml")
    with pytest.raises(AssertionError, match="no_stage"):
        check_dvc(shlex.split("--cd experiments/compare repro no_stage"), ROOT / "params.yaml")


def check_dvc(words: list[str], params: Path) -> None:
    """The folder, the stages and the params of a dvc command exist, and the values of the params are allowed."""
    folder = ROOT
    if words[0] == "--cd":
        folder, words = ROOT / words[1], words[2:]
    assert (folder / "dvc.yaml").is_file()
    subcommand = next((known for known in DVC if words[: len(known.split())] == known.split()), None)
    assert subcommand, f"dvc {' '.join(words)}: no command of dvc that the docs use"
    rest = words[len(subcommand.split()) :]
    changes = [rest[i + 1] for i, word in enumerate(rest) if word == "-S"]
    if subcommand == "repro":
        stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        asked = [word for word in rest if not word.startswith("-") and not PLACEHOLDER.fullmatch(word)]
        assert set(asked) <= set(stages), f"{asked}: no such stage in {folder.name}"
    if subcommand == "exp run":
        validate(changes, params)


def check_shed(words: list[str]) -> None:
    """The command exists, and takes these options; prose may leave out or only name what is to be filled in."""
    try:
        command_line().parse_args(words, exit_on_error=False, print_error=False)
    except MissingArgumentError:
        assert len(words) == 1
    except CoercionError:
        assert any(PLACEHOLDER.fullmatch(word) for word in words)


def validate(changes: list[str], path: Path) -> None:
    """Apply `key=value` changes to a params file and check the whole."""
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    for change in changes:
        key, _, text = change.partition("=")
        value = YAML(typ="safe", pure=True).load(text)
        if isinstance(value, str) and PLACEHOLDER.fullmatch(value):
            continue
        *sections, last = key.split(".")
        section = loaded
        for part in sections:
            assert part in section, f"{key}: no such param"
            section = section[part]
        assert last in section, f"{key}: no such param"
        section[last] = value
        if key in ("data.pool", "data.dev", "data.test"):
            assert USERS.fullmatch(value) or value.startswith("lm_eval:") or (ROOT / value).is_file()
    Params.model_validate(loaded)


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def module_exists(module: str) -> bool:
    """A module of the project by its file, or one that is installed."""
    path = ROOT / module.replace(".", "/")
    if path.with_suffix(".py").is_file() or (path / "__main__.py").is_file():
        return True
    return importlib.util.find_spec(module.partition(".")[0]) is not None and not (ROOT / module.partition(".")[0]).is_dir()
