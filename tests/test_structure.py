"""The plan of the house: imports go downwards only, and no file and no folder is too large to read."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "common",
    "data",
    "models",
    "workers",
    "embedding",
    "engine",
    "valuation",
    "selection",
    "tuning",
    "evaluation",
    "report",
    "settings",
    "library",
    "cli",
)  # from the bottom up
TOP = {"cli", "__main__"}  # what users call: it may use all that is below it, stages included
FOLDERS = ("shed", "stages", "experiments", "benchmarks", "tools", "tests")
LIBRARY = sorted((ROOT / "shed").rglob("*.py"))
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
MOST_LINES, MOST_MODULES = 300, 12


def imports(path: Path) -> Iterator[str]:
    """The dotted names of all that a file imports, also inside functions and for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports are hidden from the import closure"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(parts: tuple[str, ...]) -> str:
    """The room of a module of the library, by the parts of its path or of its dotted name."""
    return parts[1].removesuffix(".py") if len(parts) > 1 else "__init__"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_between_rooms_go_downwards_only(path: Path) -> None:
    own = room(path.relative_to(ROOT).parts)
    assert own in {*ROOMS, *TOP, "params", "__init__"}, "a new room: give it a place in the order"
    below = ROOMS[: ROOMS.index(own) + 1] if own in ROOMS else ("common", "data", "params")  # params names forms of rows
    if own in TOP:
        below = (*ROOMS, "params")
    if own in {"settings", "library"}:
        below = (*below, "params")
    if own == "__init__":
        below = ("library",)
    used = {room(tuple(name.split("."))) for name in imports(path) if name.split(".")[0] == "shed"}
    assert used <= set(below)


BELOW_TOP = [path for path in LIBRARY if room(path.relative_to(ROOT).parts) not in TOP]


@pytest.mark.parametrize("path", BELOW_TOP, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_library_knows_nothing_of_the_pipelines(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {*FOLDERS[1:], "dvc"}


def test_the_contract_of_games_stands_alone() -> None:
    assert not [name for name in imports(ROOT / "shed/valuation/game.py") if name.startswith("shed")]


def test_no_file_is_too_long() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_folder_has_too_many_modules() -> None:
    modules = Counter(path.parent.relative_to(ROOT).as_posix() for path in FILES if path.name != "__init__.py")
    assert {folder: count for folder, count in modules.items() if count > MOST_MODULES and folder != "stages"} == {}


def test_each_module_of_the_stages_is_a_stage() -> None:
    programs = set(re.findall(r"cmd: python -m stages\.(\w+)", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == {*programs, "__init__"}


def test_no_pattern_has_a_possessive_group() -> None:
    """Before Python 3.11.5 such a group that fails stays where it failed, and rows of JSON lists were lost without a word."""
    possessive = re.compile(r"\)(?:[*+?]|\{\d+(?:,\d*)?\})\+")
    assert possessive.search(r"(?:ab)*+")
    raw = re.compile(r"""\br(?:"[^"\n]*"|'[^'\n]*')""")
    texts = {path: path.read_text(encoding="utf-8") for path in FILES if path.is_relative_to(ROOT / "shed")}
    assert [path for path, text in texts.items() if any(map(possessive.search, raw.findall(text)))] == []


def test_no_two_modules_of_the_tests_have_the_same_name() -> None:
    """Pytest imports them by their bare names, since folders of tests are not packages."""
    counts = Counter(path.stem for path in (ROOT / "tests").rglob("*.py") if path.stem != "conftest")
    assert [name for name, count in counts.items() if count > 1] == []
