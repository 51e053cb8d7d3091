"""Placeholders: marks in a text where something stands that is kept under another key, as `<image>` for the picture in `image`.

In: texts, and the keys that are ignored with their values. Out: nothing, or `SetAside`: without what it stands for, such a text
is not what it seems.
"""

import mimetypes
import re
from collections.abc import Iterable, Mapping
from typing import Any

from shed.data.forms.metadata import METADATA
from shed.data.forms.values import SetAside, is_empty, shown

MARK = re.compile(r"<\|?([a-z]{3,}?)(?:[ _-]?(?:\d+|placeholder|pad|here|token))?\|?>", re.IGNORECASE)
MEDIA = ("image", "video", "audio")  # as the types of MIME begin
DEEPEST = 5


def refuse_placeholders(texts: Iterable[str], ignored: Mapping[str, Any]) -> None:
    """Refuse texts with a mark that stands for what is ignored.

    A mark is `<name>`, also `<name_1>`, `<NameHere>` or `<|name_pad|>`. It stands for an ignored key that has its name, or
    for any ignored image, video or sound. A mark that is closed, as in `<code>…</code>`, is markup.

    Args:
        texts: of the record.
        ignored: the row's keys that are not used, with their values.

    Raises:
        SetAside: there is one.
    """
    names = {name: key for key, value in ignored.items() for name in _names(key, value)}
    if not names:
        return
    for text in texts:
        for mark in MARK.finditer(text):
            name = mark[1].lower()
            key = names.get(name) or names.get(name.removesuffix("s"))
            if key is not None and f"</{mark[1]}>" not in text:
                raise SetAside(f"the text has {shown(mark[0])}, which stands for what the ignored key {shown(key)} holds")


def _names(key: str, value: Any) -> Iterable[str]:
    """What a mark for this key may be called."""
    if is_empty(value) or key.lower() in METADATA:
        return ()
    own = key.lower().split("_")[0]
    return (own.removesuffix("s"), *(MEDIA if _is_media(value) else ()))


def _is_media(value: Any, depth: int = 0) -> bool:
    """True for bytes, a name or address of a media file, media as text (`data:image/png;…`), and what holds one of these."""
    if isinstance(value, bytes | bytearray | memoryview):
        return True
    if isinstance(value, str):
        kind = value[5:] if value.startswith("data:") else mimetypes.guess_type(value[-200:].split("?")[0])[0] or ""
        return kind.startswith(tuple(f"{medium}/" for medium in MEDIA))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return depth < DEEPEST and any(_is_media(item, depth + 1) for item in inner)
