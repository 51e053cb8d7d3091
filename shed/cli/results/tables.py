"""Tables and texts as plain lines: aligned columns, a rule below the names, no spaces at the ends of lines.

In: names of columns and cells, or a text. Out: lines of the console; those of a table are as wide as they must be.
"""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

GAP = "  "
CROPPED = 120  # characters of a line in which a text is told in short, where no terminal says


def print_table(
    console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, cropped: bool = False
) -> None:
    """Print a table and an empty line.

    Args:
        left: how many of the first columns begin at the left; the others end at the right.
        cropped: the last column begins at the left, too, and is cut where the line ends.
    """
    print_text(console, title, style="bold")
    width = console.width if console.is_terminal else min(console.width, CROPPED)
    for line in table_lines(head, rows, left, width if cropped else None):
        console.print(Text(line), soft_wrap=True)
    console.print()


def print_text(console: Console, text: str, label: str = "", indent: int = 0, style: str = "") -> None:
    """Print a text in lines that fit, below each other, the first one with a label before it.

    Args:
        indent: columns before the text, of which the label has the first.
    """
    for number, line in enumerate(Text(text).wrap(console, max(20, console.width - indent))):
        line.rstrip()
        line.stylize(style)
        console.print(Text.assemble((f"{'' if number else label:<{indent}}", "bold"), line), soft_wrap=True)


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, width: int | None = None) -> list[str]:
    """The table's lines; with a width, the last column is cut to end there. A cell may have several lines."""
    widths = [max(_wide(row[column]) for row in [head, *rows]) for column in range(len(head))]
    at_left = set(range(left))
    if width is not None:
        at_left.add(len(head) - 1)
        widths[-1] = max(10, min(widths[-1], width - sum(widths[:-1]) - len(GAP) * (len(head) - 1)))
    lines = _row(head, widths, at_left)
    lines.append("─" * (sum(widths) + len(GAP) * (len(head) - 1)))
    return lines + [line for row in rows for line in _row(row, widths, at_left)]


def _row(cells: Sequence[str], widths: Sequence[int], at_left: set[int]) -> list[str]:
    parts = [cell.split("\n") for cell in cells]
    lines = []
    for line in range(max(map(len, parts))):
        texts = [part[line] if line < len(part) else "" for part in parts]
        sized = [_sized(text, width, column in at_left) for column, (text, width) in enumerate(zip(texts, widths, strict=True))]
        lines.append(GAP.join(sized).rstrip())
    return lines


def _sized(text: str, width: int, at_left: bool) -> str:
    room = width - cell_len(text)
    if room < 0:
        return set_cell_size(text, width - 1).rstrip() + "…"
    return text + " " * room if at_left else " " * room + text


def _wide(cell: str) -> int:
    return max(map(cell_len, cell.split("\n")))
