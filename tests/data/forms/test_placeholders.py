"""A text whose mark stands for what the user ignores is not what it seems."""

from typing import Any

import pytest
from row_reading import messages, read, reason


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("<image>\nWhat is this?", "image", "000.jpg"),  # LLaVA
        ("Compare <image_1> and <image_2>", "images", ["a", "b"]),
        ("<|image_pad|>What?", "image", {"bytes": b"x", "path": None}),
        ("<ImageHere> What?", "image_path", "a"),
        ("<video> What?", "clip", "a.mp4"),  # by what it is, whatever its key
        ("<audio> What?", "data", "data:audio/wav;base64,UklG"),
        ("Read <table>", "table", "a,b\n1,2"),
    ],
)
def test_a_row_whose_mark_stands_for_an_ignored_key_is_set_aside(text: str, key: str, value: Any) -> None:
    for ignore in ([key], ["*"]):
        said = reason({"instruction": text, "output": "a", key: value}, ignore=ignore)
        assert said.startswith("the text has '<")
        assert said.endswith(f"which stands for what the ignored key {key!r} holds")
    row = messages("u" + text, "aa")
    assert "stands for what the ignored key" in reason({**row, key: value}, ignore=[key])
    row["messages"][0][key] = value
    assert "stands for what the ignored key" in reason(row, ignore=[key])


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("What is <image>?", "image", None),  # nothing is left out
        ("What is <image>?", "rank", "first"),
        ("<code>x = 1</code>", "code", "x = 1"),  # markup
        ("<title> is an element of HTML", "title", "HTML"),  # metadata
        ("Is 1 <b> 2?", "b", "x"),
        ("the imagery", "image", "cat.png"),
    ],
)
def test_a_text_that_is_whole_is_read(text: str, key: str, value: Any) -> None:
    assert read({"instruction": text, "output": "a", key: value}, ignore=[key]).prompt == text
