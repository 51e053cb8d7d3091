"""Pages with markers.

In: the text of a page. Out: the text with every block and number between markers renewed. Fenced blocks stay as they are,
and so does a marker inside a code span.
"""

import re
from collections.abc import Callable
from pathlib import Path

from tools.doc_tables import pipeline, pools, selection, valuation
from tools.doc_tables.markdown import Block
from tools.doc_tables.values import written

BLOCKS: dict[str, Block] = {**selection.BLOCKS, **pools.BLOCKS, **valuation.BLOCKS, **pipeline.BLOCKS}

BLOCK = re.compile(r"^<!-- table: (?P<name>[^\n]+) -->\n(?P<body>.*?)^<!-- end of table -->$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<!`)<!-- n: (?P<name>[^\n]+?) -->(?P<body>[^\n]*?)<!-- end -->")
OPENING = re.compile(r"^<!-- table: .*|(?<!`)<!-- n: .*|^<!-- end of table -->|(?<!`)<!-- end -->", re.MULTILINE)
AT_START = re.compile(r"^\W*<!-- n: .{,40}", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def pages(root: Path) -> list[Path]:
    """All pages that a reader of the project opens."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def renewed(text: str, page: str) -> str:
    """The page with all that stands between markers as the committed results have it.

    Args:
        page: its name, for messages.

    Raises:
        ValueError: a marker is not closed, or names nothing that is known.
    """
    try:
        return _outside_fences(BLOCK.sub(_block, text), lambda part: NUMBER.sub(_number, part), page)
    except (KeyError, IndexError, FileNotFoundError) as error:
        raise ValueError(f"{page}: {error}") from error


def without_markers(text: str) -> str:
    """The page without all that stands between markers: what its author typed."""
    return NUMBER.sub("", BLOCK.sub("", text))


def _outside_fences(text: str, change: Callable[[str], str], page: str) -> str:
    """The text, changed but for its fenced blocks and for the blocks that were written."""
    kept = re.compile(f"{BLOCK.pattern}|{FENCE.pattern}", re.MULTILINE | re.DOTALL)
    parts, at = [], 0
    for fence in kept.finditer(text):
        parts += [_changed(text[at : fence.start()], change, page), fence.group()]
        at = fence.end()
    return "".join([*parts, _changed(text[at:], change, page)])


def _changed(part: str, change: Callable[[str], str], page: str) -> str:
    if lost := OPENING.search(NUMBER.sub("", part)):
        raise ValueError(f"{page}: a marker without its other end: {lost.group()[:80]}")
    if first := AT_START.search(part):
        raise ValueError(f"{page}: a line that begins with a marker is no longer Markdown; put a word before {first.group()}")
    return change(part)


def _block(match: re.Match[str]) -> str:
    name = match["name"]
    if name not in BLOCKS:
        raise KeyError(f"no block is called {name!r}; there are: {', '.join(sorted(BLOCKS))}")
    return f"<!-- table: {name} -->\n\n{BLOCKS[name]().strip()}\n\n<!-- end of table -->"


def _number(match: re.Match[str]) -> str:
    return f"<!-- n: {match['name']} -->{written(match['name'])}<!-- end -->"
