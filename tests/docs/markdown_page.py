"""A Markdown page in parts, for the tests of the docs.

In: a page. Out: its prose, links, anchors, code spans and console commands.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*)$", re.MULTILINE)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def without_fences(text: str) -> str:
    return FENCE.sub("", text)


def links(text: str) -> list[str]:
    """The targets of links and images."""
    return [target for _, _, target in LINK.findall(SPAN.sub("", without_fences(text)))]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    plain = (re.sub(r"[`*]", "", LINK.sub(r"\2", heading)) for heading in HEADING.findall(without_fences(text)))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in plain}


def spans(text: str) -> list[str]:
    """The code spans."""
    return SPAN.findall(without_fences(text))


def console(text: str) -> list[list[str]]:
    """The commands of each console block, without their comments."""
    blocks = [body for language, body in FENCE.findall(text) if language == "console"]
    return [[line[2:].split("  #")[0].strip() for line in body.splitlines() if line.startswith("$ ")] for body in blocks]
