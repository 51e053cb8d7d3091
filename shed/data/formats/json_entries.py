"""The entries of a JSON list or object, cut out of a stream of text without holding it.

In: a stream. Out: the text of each entry, one at a time. What stands in an entry is not parsed here: only strings and
brackets are followed, so a bad entry spoils no other, and one that is too long is passed over without being held.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

BLOCK = 1 << 16  # characters
# Nothing follows the outer repetition, so that it never goes back. It holds a little for each string, of one block at most.
# No possessive group does this: before Python 3.11.5 one that fails stays where it failed.
INSIDE = re.compile(r'(?:[^"{}\[\]]+|"[^"\\]*(?:\\.[^"\\]*)*")*', re.DOTALL)
BETWEEN = re.compile(r'[^"{}\[\],]*')
MARK = re.compile(r'["\\]')  # in a string: its end, or an escape
BLANK = re.compile(r"\s*")


@dataclass(frozen=True)
class Entry:
    """What stands between two commas of a list or an object.

    Attributes:
        text: its beginning, as much as was asked for.
        start: how many characters of the file come before it.
        size: its length in characters.
        last: what ends the list or object after it: its bracket, or "" where the file ends first; None if more follows.
    """

    text: str
    start: int
    size: int
    last: str | None


class Cursor:
    """A place in a stream of text."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._before = 0  # characters before the block
        self.block, self.at = "", 0

    @property
    def place(self) -> int:
        """How many characters come before."""
        return self._before + self.at

    def more(self) -> bool:
        """Go to the next block; False at the end of the file."""
        self._before += len(self.block)
        self.block, self.at = self._file.read(BLOCK), 0
        return bool(self.block)

    def ahead(self) -> str:
        """The next character that is not blank, which the cursor then stands before; "" at the end."""
        while True:
            if match := BLANK.match(self.block, self.at):
                self.at = match.end()
            if self.at < len(self.block):
                return self.block[self.at]
            if not self.more():
                return ""

    def skip_to(self, place: int) -> None:
        """Go on until `place` characters of the file come before."""
        while self._before + len(self.block) < place and self.more():
            pass
        self.at = place - self._before


def entries(cursor: Cursor, keep: int) -> Iterator[Entry]:
    """The entries of the list or object whose opening bracket the cursor has just passed.

    Args:
        cursor: goes on to behind the closing bracket.
        keep: how many characters of each entry are held.
    """
    depth, in_string, escaped = 0, False, False
    parts: list[str] = []
    start, size, kept = cursor.place, 0, 0
    while True:
        block, begin = cursor.block, cursor.at
        at = begin
        while at < len(block):
            if in_string:
                if escaped:
                    at, escaped = at + 1, False
                    continue
                found = MARK.search(block, at)
                at = found.start() if found else len(block)
                if found:
                    in_string, escaped = block[at] == "\\", block[at] == "\\"
                    at += 1
                continue
            at = _end(INSIDE if depth else BETWEEN, block, at)
            if at == len(block):
                break
            mark = block[at]
            if mark == '"':
                in_string = True
            elif mark in "[{":
                depth += 1
            elif depth:
                depth -= 1
            else:
                text = "".join([*parts, block[begin : min(at, begin + keep - kept)]])
                cursor.at = at + 1
                yield Entry(text, start, size + at - begin, None if mark == "," else mark)
                if mark != ",":
                    return
                begin, parts, start, size, kept = at + 1, [], cursor.place, 0, 0
            at += 1
        part = block[begin : begin + keep - kept]
        parts.append(part)
        size, kept = size + len(block) - begin, kept + len(part)
        if not cursor.more():
            yield Entry("".join(parts), start, size, "")
            return


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
