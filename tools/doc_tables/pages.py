"""Pages with markers.

In: the text of a page. Out: the text with every block and number between markers renewed. Fenced blocks stay as they are,
and so does a marker inside a code span.
"""

import re
from collections.abc import Callable
from pathlib import Path

from tools.doc_tables import commands, estimators, own_data, pipeline, pools, referee, selection, valuation
from tools.doc_tables.markdown import Block
from tools.doc_tables.values import written

BLOCKS: dict[str, Block] = {
    **commands.BLOCKS,
    **selection.BLOCKS,
    **pools.BLOCKS,
    **referee.BLOCKS,
    **valuation.BLOCKS,
    **estimators.BLOCKS,
    **pipeline.BLOCKS,
    **own_data.BLOCKS,
}
FENCE = r"^```.*?^```$"
BLOCK = r"^<!-- table: (?P<block>[^\n]+) -->\n.*?^<!-- end of table -->$"
BLOCK_OR_FENCE = re.compile(f"{BLOCK}|{FENCE}", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<!`)<!-- n: (?P<path>[^\n]+?) -->[^\n]*?<!-- end -->")
LOST = re.compile(r"^<!-- (?:table: |end of table).*|(?<!`)<!-- (?:n: |end -->).*", re.MULTILINE)
AT_START = re.compile(r"^[\s>*+-]*<!-- n: .{,40}", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """All pages that a reader of the project opens."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def renewed(text: str, page: str) -> str:
    """The page with all that stands between markers as the committed results have it.

    Args:
        page: its name, for messages.

    Raises:
        ValueError: a marker has no other end, names nothing that is known, or stands at the beginning of a line.
    """
    try:
        return _changed(text, _block, lambda part: NUMBER.sub(_number, _checked(part)))
    except (LookupError, FileNotFoundError, ValueError) as error:
        raise ValueError(f"{page}: {error if isinstance(error, OSError) else error.args[0]}") from error


def typed(text: str) -> str:
    """What the author of a page typed: its prose, without fenced blocks and without all that stands between markers."""
    return _changed(text, lambda match: "", lambda part: NUMBER.sub("", part))


def _changed(text: str, block: Callable[[re.Match[str]], str], prose: Callable[[str], str]) -> str:
    """The text with `block` for each block and each fenced block, and `prose` for what is between them."""
    parts, at = [], 0
    for match in BLOCK_OR_FENCE.finditer(text):
        parts += [prose(text[at : match.start()]), block(match)]
        at = match.end()
    return "".join([*parts, prose(text[at:])])


def _block(match: re.Match[str]) -> str:
    name = match["block"]
    if name is None:
        return match.group()
    if name not in BLOCKS:
        raise LookupError(f"there is no block {name!r}; there are: {', '.join(sorted(BLOCKS))}")
    return f"<!-- table: {name} -->\n\n{BLOCKS[name]().strip()}\n\n<!-- end of table -->"


def _number(match: re.Match[str]) -> str:
    path = match["path"]
    return f"<!-- n: {path} -->{pipeline.NOT_YET if pipeline.is_due(path) else written(path)}<!-- end -->"


def _checked(part: str) -> str:
    """The prose, if its markers are in order."""
    if lost := LOST.search(NUMBER.sub("", part)):
        raise ValueError(f"a marker without its other end: {lost.group()[:60]}")
    if first := AT_START.search(part):
        raise ValueError(f"a line that begins with a marker is no Markdown to a reader; put a word before {first.group()}")
    return part
