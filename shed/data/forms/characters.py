"""Characters that no text of a record may hold, since not all that comes later lets them out again.

In: texts. Out: nothing, or `SetAside`.
"""

import re
from collections.abc import Sequence

from shed.data.forms.values import SetAside

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML and UTF-8 have no place for
ESCAPED_CONTROL = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u00[01][0-9a-f]|[bf])")  # as json.dumps writes them
LINE_BREAK = re.compile("[\t\n\r\u2028\u2029]")
LONGEST_NAME = 200  # characters


def may_hold_control(given: str) -> bool:
    """False for most rows: nothing in the row's JSON text, nor in JSON text within it, can be a control character.

    It says so three times as fast as `refuse_control`, which looks at each text.
    """
    plain = "\x7f" not in given if given.isascii() else not CONTROL.search(given)
    return not plain or "\\u" in given or "\\b" in given or "\\f" in given


def refuse_control(texts: Sequence[str], as_json: Sequence[str]) -> None:
    """Refuse control characters other than tab, line feed and return, lone surrogates, U+FFFE and U+FFFF.

    Args:
        texts: as they are.
        as_json: written by json.dumps, which escapes some of them.

    Raises:
        SetAside: there is one; the message has its code.
    """
    for text in (*texts, *as_json):
        if found := CONTROL.search(text):
            raise SetAside(f"holds the control character U+{ord(found.group()):04X}")
    for text in as_json:
        if found := ESCAPED_CONTROL.search(text):
            code = {"b": 8, "f": 12}.get(found.group()[-1] if found.group()[-2] == "\\" else "")
            raise SetAside(f"holds the control character U+{int(found.group()[-4:], 16) if code is None else code:04X}")


def single_line(text: str, what: str) -> str:
    """The text without space around it.

    Raises:
        SetAside: it is no single line of at most `LONGEST_NAME` characters.
    """
    text = text.strip()
    if LINE_BREAK.search(text) or len(text) > LONGEST_NAME:
        raise SetAside(f"{what} is not a single line of at most {LONGEST_NAME} characters")
    return text
