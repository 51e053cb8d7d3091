"""Text from records, params and metrics, made safe to show: in a terminal, and in GitHub's Markdown.

In: any text. Out: one line of it without control characters; or HTML in which nothing of it is markup, a link or a mention.
"""

import re
import unicodedata
from typing import Any

CUT = "…"
PLAIN = re.compile(
    r"[\w ,;\[\]+%–-]|(?<=\d)\.(?=\d)|\.(?= |$)"
)  # characters that mean nothing to Markdown in the middle of a line
WORD_JOINER = "\N{WORD JOINER}"


def one_line(text: Any, most: int) -> str:
    """The text on one line of at most so many characters, without what only steers: control, format and private characters."""
    spaced = " ".join(str(text).split())
    visible = "".join(character for character in spaced if unicodedata.category(character)[0] != "C")
    return visible if len(visible) <= most else visible[: most - 1].rstrip() + CUT


def as_code(text: Any, most: int) -> str:
    """The text as code in GitHub's Markdown, in a sentence, a list or a cell of a table.

    Every character that could mean something to Markdown or HTML is written as a number. GitHub looks for mentions, references,
    addresses and emoji in the text that results, but not in code.
    """
    line = one_line(text, most)
    return f"<code>{''.join(c if c.isalnum() or c == ' ' else f'&#{ord(c)};' for c in line)}</code>" if line else "–"


def as_prose(text: str) -> str:
    """A sentence that shed wrote and that may name what is the user's, such as a task."""
    line, parts = one_line(text, len(text)), []
    for at, character in enumerate(line):
        plain = character != "_" and PLAIN.match(line, at)
        parts.append(character if plain else f"&#{ord(character)};" + (WORD_JOINER if character == "@" else ""))
    return "".join(parts)
