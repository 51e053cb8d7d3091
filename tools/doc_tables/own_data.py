"""How a user's rows are read: forms, what becomes of keys, the text that is tuned on, and what is set aside.

In: small rows, written to files and read as the pipeline reads them, and the packaged model's tokenizer. Out: blocks of
docs/your-own-data.md.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shed.data.forms.conversations import TrainOn
from shed.data.forms.found import NEEDS, FormName
from shed.data.forms.metadata import IDENTITY, JUDGEMENT, KIND, ORIGIN
from shed.data.preparation import prepare
from shed.data.readers import BadRecord, ReaderSettings, Reading, read_user
from shed.data.records import Record
from shed.models.encoding import Encoded, Encoder
from shed.models.loading import load_tokenizer
from shed.models.specs import Form
from tools.doc_tables.markdown import Block, code, table

MODEL, POSITIONS = "packaged/smollm2-135m-instruct", 512
NEAR = 0.8
Row = Mapping[str, Any]

FORMS: dict[FormName, tuple[str, Row]] = {  # where one meets it, and a row
    "messages": (
        "OpenAI, TRL, most of the hub",
        {"messages": [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4"}]},
    ),
    "sharegpt": (
        "ShareGPT, LLaMA-Factory, axolotl",
        {"conversations": [{"from": "human", "value": "What is 2 + 2?"}, {"from": "gpt", "value": "4"}]},
    ),
    "prompt_completion": (
        "TRL; both may be texts or lists of messages",
        {"prompt": "The capital of Norway is", "completion": "Oslo."},
    ),
    "instruction_response": (
        "Dolly, GPTeacher",
        {"instruction": "Who wrote it?", "context": "Emma is a novel by Jane Austen.", "response": "Jane Austen"},
    ),
    "alpaca": (
        "Alpaca, LLaMA-Factory",
        {"instruction": "Translate to French.", "input": "Good morning", "output": "Bonjour"},
    ),
    "question_answer": ("GSM8K, SQuAD and the like", {"question": "Name a prime number.", "answer": "7"}),
    "columns": (
        "any other names, by `data.reading.columns`",
        {"my_question": "Name a colour.", "my_reply": "Blue"},
    ),
}
COLUMNS = {"prompt": "my_question", "response": "my_reply"}
CHOICES: Row = {"question": "Which is a metal?", "choices": ["oak", "iron"], "answer": 1}
TALK: Row = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the capital of Norway?"},
        {"role": "assistant", "content": "Oslo"},
        {"role": "user", "content": "And of Peru?"},
        {"role": "assistant", "content": "Lima"},
    ]
}
UNTRAINED: Row = {
    "messages": [
        {"role": "user", "content": "What is the capital of Norway?"},
        {"role": "assistant", "content": "Bergen", "weight": 0},
        {"role": "user", "content": "Are you sure?"},
        {"role": "assistant", "content": "No, it is Oslo."},
    ]
}
TOOLS: Row = {
    "tools": [{"name": "weather", "parameters": {}}],
    "messages": [
        {"role": "user", "content": "Is it cold in Oslo?"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}]},
        {"role": "tool", "content": "-3 degrees"},
        {"role": "assistant", "content": "Yes."},
    ],
}
UNREAD: tuple[str, ...] = (  # lines of a file of the form Alpaca, each set aside
    '{"instruction": "Say hello.", "output": "Hel',
    '{"instruction": "Say hello.", "instruction": "Say bye.", "output": "Bye"}',
    '{"instruction": "Say hello.", "output": "Hello", "image": "cat.png"}',
    '{"question": "How are you?", "answer": "Well."}',
    '{"instruction": "Say hello.", "output": 7}',
    '{"instruction": "Say hello.", "output": ""}',
    '{"instruction": "Say hello.", "output": "Hello", "train": false}',
    '{"instruction": "Ring the bell.", "output": "\\u0007"}',
    '{"instruction": "Pick the metal.", "choices": ["oak", "iron"], "answer": 1, "output": "oak"}',
    '{"instruction": "Pick the metal.", "choices": ["iron", "iron"], "answer": 1}',
)
DISORDERED: tuple[Sequence[Row], ...] = (  # turns of a file of the form messages, each set aside
    [{"role": "user", "content": "Hi"}],
    [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Bye"}],
    [{"role": "user", "content": "Hi", "weight": 1}, {"role": "assistant", "content": "Hello"}],
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "weight": 0}],
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": "cat.png"}]},
        {"role": "assistant", "content": "A cat"},
    ],
)
LONG = "Write a short poem about the sea, the sky, the sun, the moon and the stars in the style of a sailor from Norway"
REPEATED: tuple[tuple[Row, bool], ...] = (  # rows of a pool; True: set aside
    ({"instruction": "Say hello.", "output": "Hello, World!"}, False),
    ({"instruction": "Say hello.", "output": "Hello, World!"}, True),
    ({"instruction": "say  hello.", "output": "hello, world!"}, True),
    ({"instruction": LONG, "output": "The sea is wide."}, False),
    ({"instruction": LONG.replace("Write", "Compose"), "output": "The sea is wide."}, True),
    ({"instruction": "What is 7 + 2?", "output": "It is 9."}, True),
)
DEV: Row = {"instruction": "What is 7 + 2?", "output": "9"}
TEST: Row = {"instruction": "What is 7 - 2?", "output": "5"}


def forms() -> str:
    """Each form, the keys by which it is known, and where one meets it."""
    rows = []
    for form, needs in NEEDS.items():
        keys = " and ".join(" or ".join(map(code, names)) for names in needs)
        rows.append([code(form), keys, FORMS[form][0]])
    return table(["form", "a row of it has", "used by"], rows)


def metadata() -> str:
    """The keys that are kept and not tuned on, by what they say."""
    kinds = {"which row it is": IDENTITY, "where it is from": ORIGIN, "what it is about": KIND, "how it was judged": JUDGEMENT}
    return table(["says", "keys"], [[said, ", ".join(map(code, sorted(keys)))] for said, keys in kinds.items()])


def tuned_texts() -> str:
    """A row of each form, and the text that it becomes."""
    mapping = "{" + ", ".join(f"{ours}: {theirs}" for ours, theirs in COLUMNS.items()) + "}"
    shown = [_example(code(form), row) for form, (_, row) in FORMS.items() if form != "columns"]
    shown += [
        _example(f"`columns`, with `data.reading.columns: {mapping}`", FORMS["columns"][1], columns=COLUMNS),
        _example("Multiple choice, in any form: the right option is the response", CHOICES),
        _example("Several turns", TALK),
        _example("The same with `train_on: last`", TALK, train_on="last", with_row=False),
        _example("The same in the chat form (`model.prompt: chat`)", TALK, form="chat", with_row=False),
        _example("A turn with a weight of 0", UNTRAINED),
        _example("Tools", TOOLS),
    ]
    return "\n\n".join(shown)


def set_aside() -> str:
    """A row of each kind that is set aside, with the reason that the program gives."""
    talks = [_json({"messages": turns}) for turns in DISORDERED]
    rows = [*_reasons(UNREAD, FORMS["alpaca"][1]), *_reasons(talks, TALK), *_repeats(), *_unfit()]
    return table(["row", "reason"], [[f"`{row}`", reason] for row, reason in rows])


def _example(
    title: str,
    row: Row,
    train_on: TrainOn = "all",
    form: Form = "plain",
    *,
    columns: Mapping[str, str] | None = None,
    with_row: bool = True,
) -> str:
    record = _record(_json(row), train_on, columns)
    text = marked(_encoder(form).encode(record, end=True))
    given = f" `{_json(row)}`" if with_row else ""
    return f"**{title}**{given}\n```text\n{text}\n```"


def marked(encoded: Encoded) -> str:
    """The text of a record's tokens, with ⟦ ⟧ around what is trained."""
    trained = set(encoded.places)
    text = ""
    for is_trained, places in itertools.groupby(range(len(encoded.tokens)), lambda place: place in trained):
        part = _encoder("plain").tokenizer.decode([encoded.tokens[place] for place in places])
        text += f"⟦{part}⟧" if is_trained else str(part)
    return text


def _record(line: str, train_on: TrainOn = "all", columns: Mapping[str, str] | None = None) -> Record:
    (record,) = _read([line], train_on, columns)
    if isinstance(record, BadRecord):
        raise ValueError(f"set aside: {record.reason}: {line}")
    return record


def _reasons(lines: Sequence[str], good: Row) -> Iterator[tuple[str, str]]:
    """Each line with the reason for which it is set aside from a file whose other rows are like `good`."""
    found = _read([*lines, *[_json(good)] * (len(lines) + 1)])
    for line, one in zip(lines, found, strict=False):
        if isinstance(one, Record):
            raise ValueError(f"is not set aside: {line}")
        yield line, one.reason


def _repeats() -> Iterator[tuple[str, str]]:
    """Rows that repeat another one; a near-duplicate with what it is like."""
    pool, dev, test = (_read([_json(row) for row in rows]) for rows in ([row for row, _ in REPEATED], [DEV], [TEST]))
    prepared = prepare(pool, dev, test, pool_rows=None, dev_rows=None, test_rows=None, near=NEAR, seed=1)
    reasons = {reject.record.origin: reject for reject in prepared.rejects}
    for (row, aside), record in zip(REPEATED, pool, strict=True):
        if aside != (record.origin in reasons):
            raise ValueError(f"set aside or not, against what is said of it: {row}")
        if aside:
            reject = reasons[record.origin]
            like = "" if reject.of is None else f" (`of` {reject.of}, `similarity` {reject.similarity:.2f})"
            yield _json(row), code(reject.reason) + like


def _unfit() -> Iterator[tuple[str, str]]:
    """A record that the packaged model's chat template cannot write."""
    record = _record(_json(TOOLS))
    prepared = prepare(
        [record], [], [], pool_rows=None, dev_rows=None, test_rows=None, near=None, seed=1, unfit=_encoder("chat").unfit
    )
    yield _json(TOOLS), f"{prepared.rejects[0].reason} (in the chat form of the packaged model)"


def _read(
    lines: Sequence[str], train_on: TrainOn = "all", columns: Mapping[str, str] | None = None
) -> list[Record | BadRecord]:
    """The lines as a user's file is read, whose form is found by its keys."""
    settings = ReaderSettings(None, columns, None, (), train_on, 1.0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "my_pool.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return list(read_user(str(path), settings, None, Reading()))


@cache
def _encoder(form: Form) -> Encoder:
    return Encoder(load_tokenizer(MODEL), form, POSITIONS, POSITIONS)


def _json(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False)


BLOCKS: dict[str, Block] = {
    "forms of rows": forms,
    "keys that are metadata": metadata,
    "rows as they are tuned": tuned_texts,
    "rows that are set aside": set_aside,
}
