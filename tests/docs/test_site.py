"""The website of the docs: every page is in its menu, every link leads somewhere, and it is built without a warning."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_page import PAGES, ROOT

from tools import site


def test_the_menu_has_every_page_once() -> None:
    menu = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    listed = [place for section in menu for places in section.values() for place in places]
    assert sorted(listed) == sorted([*site.sources().values(), *site.api_pages()])
    assert set(site.sources()) == set(PAGES)


def test_every_module_of_the_library_is_in_the_api() -> None:
    rooms = site.rooms()
    named = [module for modules in rooms.values() for module in modules]
    assert len(named) == len(set(named)) > 60
    assert rooms["library"][0] == "shed.library.selector"
    assert all(importlib.util.find_spec(module) is not None for module in named)
    assert not [module for module in named if module.startswith(("shed.cli", "stages"))]


def test_links_hold_on_the_website() -> None:
    readme, page = ROOT / "README.md", ROOT / "docs/how-it-works.md"
    for source, text, said in (
        (readme, "[a `b`](docs/results.md#the-default)", "[a `b`](results.md#the-default)"),
        (readme, "![x](docs/results.svg)", "![x](results.svg)"),
        (readme, "[`splits.py`](shed/data/splits.py)", "[`splits.py`](api/data.md#shed.data.splits)"),
        (page, "[changes](../CHANGELOG.md)", "[changes](changelog.md)"),
        (page, "[start](../README.md#two-commands)", "[start](index.md#two-commands)"),
        (page, "[`stages/`](../stages)", "`stages/`"),  # which is no page there
        (page, "[dvc](https://dvc.org)", "[dvc](https://dvc.org)"),
        (page, "[above](#the-words)", "[above](#the-words)"),
    ):
        assert site.LINK.sub(lambda match, of=source: site._link(match, of), text) == said


def test_a_list_below_a_line_of_text_is_a_list_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("Three steps.\n1. one\n2. two\n\n- a\n- b\n  more\n- c\n\n```text\nas it is\n- here\n```\n")
    monkeypatch.setattr(site, "sources", lambda: {page: "page.md"})
    assert site.page(page) == ("Three steps.\n\n1. one\n2. two\n\n- a\n- b\n  more\n- c\n\n```text\nas it is\n- here\n```\n")


def documented(path: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """Each function with a docstring: what its "Args:" names, and the parameters that it has."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            own = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
        else:
            own = node if isinstance(node, ast.FunctionDef) else None
        if own is None or not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        block = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", ast.get_docstring(node) or "", re.MULTILINE | re.DOTALL)
        told = re.findall(r"^    (\*{0,2}\w+(?:, \w+)*):", block[1], re.MULTILINE) if block else []
        arguments = own.args
        each = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        names = {name.strip("* ") for names in told for name in names.split(",")}
        yield f"{path.stem}.{node.name}", names, {one.arg for one in each if one}


def test_a_docstring_names_parameters_that_are_there() -> None:
    found = [one for path in sorted((ROOT / "shed").rglob("*.py")) for one in documented(path)]
    assert sum(bool(told) for _, told, _ in found) > 100
    assert [(name, told - there) for name, told, there in found if told - there] == []


class Html(HTMLParser):
    """The ids of a page, and what it leads to or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str | None] = set()
        self.targets: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.ids.add(own.get("id"))
        self.targets += [(tag, own[key] or "") for key in ("href", "src") if own.get(key)]


@pytest.fixture(scope="module")
def built() -> dict[Path, Html]:
    """The pages of the website."""
    pytest.importorskip("zensical", reason="the extra `docs` is not installed")
    done: Any = subprocess.run(
        [sys.executable, "-m", "tools.site"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = (ROOT / "build/site").resolve()
    return {path: Html(path.read_text(encoding="utf-8")) for path in folder.rglob("index.html")}


@pytest.mark.slow
def test_the_website_is_built_and_its_links_lead_somewhere(built: dict[Path, Html]) -> None:
    assert len(built) == len(PAGES) + len(site.api_pages())
    for path, page in built.items():
        for tag, target in page.targets:
            if target.startswith(("https:", "http:")):
                assert tag == "a", f"{path}: {target} is loaded from elsewhere"
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            there = there / "index.html" if there.is_dir() else there
            assert there.exists(), f"{path}: {target}"
            assert not anchor or there not in built or anchor in built[there].ids, f"{path}: {target}"


@pytest.mark.slow
def test_the_api_shows_each_verb(built: dict[Path, Html]) -> None:
    page = next(page for path, page in built.items() if path.parent.name == "library" and path.parts[-3] == "api")
    assert {f"shed.library.selector.Selector.{verb}" for verb in ("rate", "cluster", "score", "select", "verdict")} <= page.ids
