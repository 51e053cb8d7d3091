"""`shed report`: where the report is, and whether it shows what metrics hold now.

In: `reports/index.html`, of which each number names the metrics file and the key that it comes from, and these files. Out: its
path.
"""

import re
import webbrowser
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from shed.cli.project import Project, find_project
from shed.cli.results.texts import shown_path
from shed.cli.terminal import Json, show_result
from shed.common.atomic_io import read_json

PAGE = "reports/index.html"
NUMBER = re.compile(r'<span data-metric="([^"#]+)#([^"]*)" data-form="([^"]*)">([^<]*)</span>')


def report(*, open_: Annotated[bool, Parameter(name="--open", negative="")] = False, as_json: Json = False) -> None:
    """Print the path of the report, the page of the last run.

    Args:
        open_: Open it in a browser, too.
    """
    project = find_project()
    path = project.path(PAGE)
    stale = list(dict.fromkeys(other_numbers(project, path.read_text(encoding="utf-8"))))
    opened = webbrowser.open(path.as_uri()) if open_ else None
    found = {"path": str(path), "opened": opened, "other_numbers_in": stale}

    def draw(console: Console) -> None:
        console.print(shown_path(project.root, PAGE), soft_wrap=True)
        if stale:
            console.print(
                f"It is older than the metrics: it shows other numbers than {', '.join(stale)}. `shed run` makes it anew.",
                soft_wrap=True,
            )
        if opened is False:
            console.print("No browser can be opened here; open the file yourself.", soft_wrap=True)

    show_result(found, as_json, draw)


def other_numbers(project: Project, page: str) -> Iterator[str]:
    """The metrics files that hold something else now than the page shows of them; one that is not there says nothing."""
    files: dict[str, Any] = {}
    for name, keys, form, shown in NUMBER.findall(page):
        if name not in files:
            files[name] = read_json(project.root / name) if (project.root / Path(name)).is_file() else None
        now = _as_shown(files[name], unescape(keys), form)
        if now is not None and unescape(shown) != now:
            yield name


def _as_shown(value: Any, keys: str, form: str) -> str | None:
    """The number as the report writes it; None where it cannot be looked up."""
    for key in keys.split("/"):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    try:
        return value if isinstance(value, str) else format(value, form)
    except (TypeError, ValueError):
        return None
