"""The docs as a website: README.md, docs/ and a page of the API for each room of the code. Usage: python -m tools.site

In: the pages as they are read on a git host, and the docstrings. Out: build/pages, Markdown as Zensical reads it, and the
website in build/site. It needs no package of the project, only those of the extra `docs`. Any warning stops it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from shed.common.import_closure import ROOT, has_code

PAGES = ROOT / "build/pages"
HOME = "README.md"
API = "api"
FIRST = {"library": ("shed.library.selector", "shed.library.results")}
OF_DOCSTRINGS = re.compile("(griffe|mkdocstrings)[^:]*: ")  # what reads docstrings warns on its own, and Zensical goes on
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\]`]|`[^`]*`)*)\]\((?P<to>[^)\s]+)\)")
LIST_AFTER_TEXT = re.compile(r"^(?P<text>(?![-*|#>] |\d+\. |\s|<!--).+\n)(?=(?:[-*]|\d+\.) )", re.MULTILINE)


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m tools.site", description="Build the website of the docs in build/site."
    ).parse_args()
    write_pages(PAGES)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout, end="")
    sys.exit(done.returncode or any(OF_DOCSTRINGS.match(line) for line in done.stdout.splitlines()))


def write_pages(folder: Path) -> None:
    """All pages and pictures, as Zensical reads them, in a folder that is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("*.md"))
    written = {place: page(source) for source, place in sources().items()} | api_pages()
    for place, text in written.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")


def sources() -> dict[Path, str]:
    """Each page of the project and its place on the website."""
    own = {path: "index.md" if path.name == HOME else path.name.lower() for path in sorted(ROOT.glob("*.md"))}
    return own | {path: path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))}


def rooms() -> dict[str, list[str]]:
    """The modules of each room, by their dotted names, those first that a notebook uses. The command has pages of its own."""
    found: dict[str, list[str]] = {room: list(modules) for room, modules in FIRST.items()}
    for path in sorted((ROOT / "shed").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if path.name == "__init__.py" or any(part.startswith("_") for part in parts) or "cli" in parts or not has_code(path):
            continue
        room = parts[1] if len(parts) > 2 else "params"
        modules = found.setdefault(room, [])
        if (module := ".".join(parts)) not in modules:
            modules.append(module)
    return found


def api_pages() -> dict[str, str]:
    """A page for each room: its modules, one after the other."""
    return {
        f"{API}/{room}.md": f"# shed.{room}\n\n" + "\n\n".join(f"::: {module}" for module in modules) + "\n"
        for room, modules in rooms().items()
    }


def page(source: Path) -> str:
    """A page with links that hold on the website, and with a blank line before each list, which Zensical needs."""
    parts = FENCE.split(source.read_text(encoding="utf-8"))
    parts[::2] = [LIST_AFTER_TEXT.sub(r"\g<text>\n", LINK.sub(lambda match: _link(match, source), part)) for part in parts[::2]]
    return "".join(parts)


def _link(match: re.Match[str], source: Path) -> str:
    """A link to a page or a picture of the website, to a module's place in the API, or, of any other file, its text alone."""
    target, _, anchor = match["to"].partition("#")
    if "://" in target or not target:
        return match[0]
    file = (source.parent / target).resolve()
    here = Path(sources()[source]).parent
    if (place := sources().get(file)) is not None:
        place += f"#{anchor}" if anchor else ""
    elif file.is_relative_to(ROOT / "docs"):
        place = file.relative_to(ROOT / "docs").as_posix()
    elif (module := ".".join(file.relative_to(ROOT).with_suffix("").parts)) and (room := _room_of(module)) is not None:
        place = f"{API}/{room}.md#{module}"
    else:
        return match["text"]
    return f"{match['image']}[{match['text']}]({Path(os.path.relpath(place, here)).as_posix()})"


def _room_of(module: str) -> str | None:
    return next((room for room, modules in rooms().items() if module in modules), None)


if __name__ == "__main__":
    main()
