"""Whatever stands in a row: it becomes a record with all of its texts, or is set aside with a reason."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from row_reading import Row, messages, read

from shed.data.forms.found import NEEDS, FormName
from shed.data.forms.rows import RowReader
from shed.data.forms.turns import ROLES
from shed.data.forms.values import SetAside

TURN_KEYS = ["role", "content", "from", "value", "type", "text", "weight", "tool_calls", "name", "function"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3) | st.sampled_from(list(ROLES)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(TURN_KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NEEDED = sorted({name for needs in NEEDS.values() for names in needs for name in names})
BESIDE = ["input", "system", "history", "tools", "weight", "train", "source", "id", "context", "given", "text", "skip"]
KEYS = st.sampled_from([*NEEDED, *BESIDE])


@settings(max_examples=200, deadline=None)
@given(
    row=st.dictionaries(KEYS | st.text(max_size=5), JSON_VALUES, max_size=6),
    form=st.sampled_from(sorted(NEEDS)),
    text=st.text(),
)
def test_whatever_a_row_holds_is_a_record_or_a_reason(row: Row, form: FormName, text: str) -> None:
    told: list[str] = []
    for values in (row, {**row, "prompt": text, "instruction": text}, {**row, **messages("u" + text, "aa")}):
        try:
            record = RowReader(form).record(values, None, "my", "x")
        except SetAside as error:
            told.append(str(error))
        else:
            json.dumps(record.to_row(), ensure_ascii=False).encode()
            assert record.response.strip()
    assert all("\n" not in reason and reason.encode() for reason in told)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
SPOKEN = st.sampled_from(["user", "assistant", "system", "tool", "human", "gpt", "observation"])
TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": SPOKEN, "content": TEXTS}, optional={"name": TEXTS, "reasoning": TEXTS, "image": TEXTS, "id": st.just("")}
    ),
    max_size=5,
)
ROWS = st.one_of(
    st.fixed_dictionaries(
        {"instruction": TEXTS, "output": TEXTS},
        optional={
            "input": TEXTS,
            "system": TEXTS,
            "context": TEXTS,
            "extra": TEXTS,
            "history": st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=2),
        },
    ),
    st.fixed_dictionaries({"question": TEXTS, "answer": TEXTS}, optional={"context": TEXTS, "system": TEXTS, "input": TEXTS}),
    st.fixed_dictionaries({"messages": TURNS}, optional={"system": TEXTS, "extra": TEXTS}),
    st.builds(
        lambda pairs: {"messages": [turn for ask, reply in pairs for turn in messages("u" + ask, "a" + reply)["messages"]]},
        st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3),
    ),
)


@settings(max_examples=500, deadline=None)
@given(row=ROWS)
def test_no_text_of_a_row_is_lost(row: Row) -> None:
    try:
        record = read(row)
    except SetAside:
        return
    said = "\n".join(f"{turn.content}\n{turn.reasoning}\n{turn.name}" for turn in record.messages)
    texts = [text for key, text in row.items() if isinstance(text, str)]
    texts += [text for pair in row.get("history", ()) for text in pair]
    texts += [turn[key] for turn in row.get("messages", ()) for key in turn if key != "role"]
    for text in texts:
        assert text.strip() in said
