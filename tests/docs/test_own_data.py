"""The page about a user's own rows shows what the program does: each form, what is trained of it, and what is set aside."""

import json
import re

import pytest

from shed.data.forms.found import NEEDS
from shed.models.encoding import Encoded, Span
from tools.doc_tables import own_data
from tools.doc_tables.own_data import BLOCKS, FORMS, marked

EXAMPLE = re.compile(r"^\*\*([^\n]+?)\*\*(?: `([^\n]+)`)?\n```text\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def examples() -> dict[str, tuple[str, str]]:
    """By its title, the row and the text of each example."""
    return {title: (row, text) for title, row, text in EXAMPLE.findall(BLOCKS["rows as they are tuned"]())}


def test_every_form_is_shown_with_its_response_and_its_end_trained(examples: dict[str, tuple[str, str]]) -> None:
    assert set(FORMS) == set(NEEDS)
    for form in NEEDS:
        title = next(title for title in examples if title.startswith(f"`{form}`"))
        row, text = examples[title]
        assert json.loads(row)
        assert re.search(r"Answer:⟦ [^⟦⟧]+<\|im_end\|>⟧$", text), form


def test_of_several_turns_those_are_trained_that_the_page_says(examples: dict[str, tuple[str, str]]) -> None:
    trained = {title: re.findall(r"⟦ ?(.*?)<\|im_end\|>⟧", text) for title, (_, text) in examples.items()}
    assert trained["Several turns"] == ["Oslo", "Lima"]
    assert trained["The same with `train_on: last`"] == ["Lima"]
    assert trained["The same in the chat form (`model.prompt: chat`)"] == ["Oslo", "Lima"]
    assert trained["A turn with a weight of 0"] == ["No, it is Oslo."]
    assert trained["Multiple choice, in any form: the right option is the response"] == ["iron"]


def test_marks_stand_around_each_trained_span() -> None:
    tokens = tuple(own_data._encoder("plain").tokenizer("one two three four")["input_ids"])
    assert marked(Encoded(tokens, (Span(1, 2, 1.0), Span(3, 4, 0.5)))) == "one⟦ two⟧ three⟦ four⟧"


def test_a_row_that_is_not_set_aside_cannot_be_listed_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    good = '{"instruction": "Say hello.", "output": "Hello"}'
    monkeypatch.setattr(own_data, "UNREAD", (*own_data.UNREAD, good))
    with pytest.raises(ValueError, match="is not set aside"):
        BLOCKS["rows that are set aside"]()


def test_a_row_that_is_set_aside_cannot_be_shown_as_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    where, row = FORMS["alpaca"]
    monkeypatch.setattr(own_data, "FORMS", {**FORMS, "alpaca": (where, {**row, "image": "cat.png"})})
    with pytest.raises(ValueError, match="set aside: the key 'image'"):
        BLOCKS["rows as they are tuned"]()


def test_each_kind_of_fault_has_a_reason_of_its_own() -> None:
    reasons = [line.rsplit(" | ", 1)[1] for line in BLOCKS["rows that are set aside"]().splitlines()[2:]]
    assert len(set(reasons)) == len(reasons) > len(own_data.UNREAD)
