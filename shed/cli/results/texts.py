"""Text from records on a terminal: what could move the cursor, hide text or turn its direction is shown as a code.

In: any text, or a path. Out: text that a terminal shows as it is.
"""

import os
import unicodedata
from pathlib import Path

JOINERS = "\u200c\u200d"  # emoji and several scripts need them; alone they are invisible and harmless
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format, surrogates, private, unassigned, line separators


def visible(text: str) -> str:
    """The text with a code in place of each character that is not to be printed, such as U+001B, line breaks among them."""
    if text.isprintable():
        return text
    return "".join(one if one in JOINERS or unicodedata.category(one) not in UNSAFE else _code(one) for one in text)


def one_line(text: str, most: int | None = None) -> str:
    """The text on a single line, each run of white space as one space, cut to at most so many characters."""
    shown = visible(" ".join(text.split()))
    return shown if most is None or len(shown) <= most else shown[: most - 1].rstrip() + "…"


def shown_path(root: Path, name: str) -> str:
    """A file of the project as seen from the current folder."""
    return os.path.relpath(root / name)


def _code(one: str) -> str:
    return f"\\x{ord(one):02x}" if ord(one) < 256 else f"\\u{ord(one):04x}" if ord(one) < 65536 else f"\\U{ord(one):08x}"
