"""A task of lm-eval says what is measured: its documents are dev or test records, and never those that it is measured on for dev."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from task_folder import questions, read, task

from shed.common.errors import ShedError
from shed.data.preparation import prepare
from shed.data.readers import BadRecord, ReaderSettings, Reading
from shed.data.records import Message, Record, single_turn
from shed.data.splits import digests, licences, read_split
from shed.data.tasks.documents import without_labels
from shed.models.encoding import Encoder
from shed.models.loading import load_language_model
from shed.models.specs import ModelSpec

SETTINGS = ReaderSettings(None, None, None, (), "all", 1.0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def asked(rows: list[Record | BadRecord]) -> list[str]:
    return [row.messages[-2].content for row in rows if isinstance(row, Record)]


def test_a_document_is_a_record_with_the_tasks_prompt_options_and_answer(tmp_path: Path) -> None:
    first, *_ = read(f"lm_eval:{task(tmp_path)}")
    assert isinstance(first, Record)
    assert first.messages == (
        Message("system", "Add the numbers."),
        Message("user", "Question: 10+1?\nAnswer:"),
        Message("assistant", "11"),
    )
    assert (first.choices, first.answer, first.source) == (("10", "11"), 1, "sums")
    assert first.origin == "lm_eval:sums.yaml, split validation, document 1"


@pytest.mark.parametrize(
    ("splits", "dev", "test"),
    [
        (("train", "validation", "test"), "10+1?", "20+1?"),
        (("train", "test"), "0+1?", "20+1?"),
        (("validation", "test"), "10+1?", "20+1?"),
        (("train", "validation"), "0+1?", "10+1?"),  # without a test split, lm-eval measures on validation
    ],
)
def test_dev_never_has_what_lm_eval_measures_on_and_test_has_it(
    tmp_path: Path, splits: tuple[str, ...], dev: str, test: str
) -> None:
    starts = {"train": 0, "validation": 10, "test": 20}
    where = f"lm_eval:{task(tmp_path, rows={name: questions(starts[name], 2) for name in splits})}"
    assert asked(read(where))[0] == f"Question: {dev}\nAnswer:"
    assert asked(read(where, "test"))[0] == f"Question: {test}\nAnswer:"


def test_a_task_with_one_split_alone_is_refused_for_dev(tmp_path: Path) -> None:
    where = f"lm_eval:{task(tmp_path, rows={'test': questions(20, 2)})}"
    with pytest.raises(
        ShedError, match=r"^lm_eval:sums\.yaml: the task sums has one split alone, test, which lm-eval"
    ) as error:
        read(where)
    assert error.value.setting == "records of dev"
    assert len(read(where, "test")) == 2


def test_a_written_answer_is_the_target_and_of_several_the_first(tmp_path: Path) -> None:
    rows = {"train": [{"q": "why?", "a": [" so", "thus"]}, {"q": "who?", "a": ["I"]}], "test": [{"q": "?", "a": ["."]}]}
    changes = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_text": "{{q}}", "doc_to_target": "a"}
    one, two = read(f"lm_eval:{task(tmp_path, rows=rows, **changes)}", source="mine")
    assert isinstance(one, Record)
    assert isinstance(two, Record)
    assert (one.prompt, one.response, one.choices, one.source) == ("Add the numbers.\nwhy?", "so", (), "mine")
    assert two.response == "I"


def test_a_document_without_one_right_option_is_set_aside(tmp_path: Path) -> None:
    rows = [{"q": "a", "options": ["x", "y"], "right": right} for right in (0, 2, -1)]
    found = read(f"lm_eval:{task(tmp_path, rows={'train': rows, 'test': rows})}")
    assert [row.reason if isinstance(row, BadRecord) else row.response for row in found] == [
        "x",
        "no right option",
        "no right option",
    ]
    found = read(f"lm_eval:{task(tmp_path, 'two', rows={'train': rows, 'test': rows}, doc_to_target='{{[0, 1]}}')}")
    assert {row.reason for row in found if isinstance(row, BadRecord)} == {"several right options"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output_type": "loglikelihood_rolling"}, "the task sums is of the kind loglikelihood_rolling, which asks nothing"),
        ({"doc_to_text": "{{right}}"}, "the task sums has its options within the question"),
        ({"doc_to_text": "{{q.lower.x.y}}"}, r"the task sums\.yaml cannot be read: UndefinedError"),
        ({"doc_to_text": "{{q}}{{1 // (12 - q.split('+')[0] | int)}}"}, r"document 3: the task cannot write it \(ZeroDivision"),
        ({"dataset_kwargs": {"data_files": "nothing.jsonl"}}, r"the data of the task sums\.yaml cannot be loaded"),
    ],
)
def test_a_task_of_which_no_records_can_be_made_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    where = f"lm_eval:{task(tmp_path, **changes)}"
    with pytest.raises(ShedError, match=said) as error:
        read(where)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no task file of lm-eval can be read there: No such file"),
        ("- a\n", "not a task file of lm-eval"),
        ("a: [", "not YAML that can be read"),
        ("a: b\n" * 60_000, "more than 200,000 bytes"),
        ("a: !!bool x\n", "not YAML that can be read"),
        ("a: !f [1]\n", "not YAML that can be read"),
        ("a: 1\na: 2\n", "not YAML that can be read .the key 'a' stands twice"),
        (
            "a: &a [1, 1, 1]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghijklm")),
            ".*over 50,000 values",
        ),
    ],
)
def test_a_file_that_is_no_task_file_is_one_line(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "sums.yaml").write_text(content)
    for ask in (digests, read):
        with pytest.raises(ShedError, match=rf"sums\.yaml(, line \d+)?: {said}") as error:
            ask("lm_eval:sums.yaml")
        assert "\n" not in str(error.value)


def hub(path: str, name: str | None = None, **_: object) -> DatasetDict:
    """Stands in for the hub."""
    assert path == "openai/gsm8k"
    rows = [{"question": f"{n} apples?", "answer": f"It is {n}.\n#### {n}"} for n in range(3)]
    return DatasetDict({"train": Dataset.from_list(rows), "test": Dataset.from_list(rows[:1])})


@pytest.mark.slow
def test_a_task_by_the_name_that_lm_eval_has_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.load_dataset", hub)
    first, *others = read("lm_eval:gsm8k")
    assert isinstance(first, Record)
    assert (first.source, len(others)) == ("gsm8k", 2)
    assert first.response == "It is 0.\n#### 0"
    assert first.prompt == "Question: 0 apples?\nAnswer:"
    with pytest.raises(ShedError, match="lm-eval has no task 'gsm9k'") as error:
        read("lm_eval:gsm9k")
    assert error.value.setting == "records of dev"


def test_what_a_task_is_read_from_is_its_file_what_that_names_and_lm_evals_version(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("doc_to_text: 'Q: {{q}}'\n")
    (tmp_path / "utils.py").write_text("def right(document):\n    return document['right']\n")
    task(tmp_path, include="base.yaml")
    path = tmp_path / "sums.yaml"
    path.write_text(path.read_text() + "process_results: !function utils.right\n")
    before = digests("lm_eval:sums.yaml")
    assert set(before) == {
        "lm_eval:sums.yaml",
        "base.yaml",
        "sums.yaml",
        "utils.py",
        *(f"sums-{split}.jsonl" for split in ("train", "validation", "test")),
    }
    (tmp_path / "sums-train.jsonl").write_text("{}")
    after = digests("lm_eval:sums.yaml")
    assert {name for name in before if before[name] != after[name]} == {"sums-train.jsonl"}
    assert list(digests("lm_eval:gsm8k").values()) == [before["lm_eval:sums.yaml"]]  # nothing is loaded for a name


def test_a_task_file_is_found_in_the_project_of_which_this_folder_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = f"lm_eval:{task(tmp_path)}"
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    rows = list(read_split(where, SETTINGS, Reading(), lambda path: str(tmp_path / path)))
    assert len(rows) == 3
    assert set(digests(where, lambda path: str(tmp_path / path))) == {where, "sums.yaml"} | {
        f"sums-{split}.jsonl" for split in ("train", "validation", "test")
    }


def test_a_task_may_be_a_source_of_a_recipe_but_not_of_the_pool(tmp_path: Path) -> None:
    (tmp_path / "faq.jsonl").write_text(json.dumps({"prompt": "why?", "response": "so"}))
    recipe = f"sources:\n- {{name: adding, path: 'lm_eval:{task(tmp_path)}', licence: CC0}}\n- {{name: faq, path: faq.jsonl}}\n"
    (tmp_path / "dev_mix.yaml").write_text(recipe)
    reading = Reading()
    rows = list(read_split("dev_mix.yaml", SETTINGS, reading, split="test"))
    assert [row.source for row in rows] == ["adding", "adding", "faq"]
    assert reading.told()[0] == "lm_eval:sums.yaml, split test: 2 rows of the form question_answer"
    assert licences("lm_eval:sums.yaml") == {"sums": "that of the task's data"}
    with pytest.raises(ShedError, match="for dev or test; name rows to select from") as error:
        list(read_split("lm_eval:sums.yaml", SETTINGS, Reading(), split="pool"))
    assert error.value.setting == "records of pool"


def test_in_the_plain_form_a_record_is_what_lm_eval_asks(tmp_path: Path, tiny_model: str) -> None:
    row, *_ = read(f"lm_eval:{task(tmp_path)}")
    assert isinstance(row, Record)
    encoder: Encoder = load_language_model(ModelSpec(tiny_model, "plain", 200)).encoder
    text = encoder.tokenizer.decode(encoder.encode(without_labels(row), end=False).tokens)
    assert text == "Add the numbers.\nQuestion: 10+1?\nAnswer: 11"
    own = single_turn("Question: is it?\nAnswer:", "yes", "mine", "mine.jsonl, line 1")
    assert without_labels(own) == own


@pytest.mark.parametrize("plain", [True, False])
def test_the_pool_may_hold_no_question_of_the_task_however_it_is_asked(tmp_path: Path, plain: bool) -> None:
    rows = [row for row in read(f"lm_eval:{task(tmp_path)}") if isinstance(row, Record)]
    dev = [without_labels(row) for row in rows] if plain else rows
    pool = ["10+1?", "Question: 11+1?\nAnswer:", "Add the numbers.\nQuestion: 12+1?\nAnswer:", "13+1?"]
    prepared = prepare(
        [single_turn(text, "x", "pool", f"line {n}") for n, text in enumerate(pool)],
        dev,
        [single_turn("13+1?", "14", "test", "line 1")],
        pool_rows=None,
        dev_rows=None,
        test_rows=None,
        near=None,
        seed=1,
    )
    expected = {"line 0": "in_dev", "line 1": "in_dev", "line 3": "in_test"} | ({} if plain else {"line 2": "in_dev"})
    assert {reject.record.origin: reject.reason for reject in prepared.rejects} == expected


def test_dev_may_hold_no_question_that_a_named_task_measures(tmp_path: Path) -> None:
    rows = [row for row in read(f"lm_eval:{task(tmp_path)}") if isinstance(row, Record)]
    prepared = prepare(
        [single_turn(f"pool {n}", "x", "pool", str(n)) for n in range(2)],
        rows,
        None,
        pool_rows=None,
        dev_rows=None,
        test_rows=1,
        near=None,
        seed=1,
        tasks={"sums": ["Question: 10+1?\nAnswer:"]},
    )
    assert [(reject.record.origin, reject.reason) for reject in prepared.rejects if reject.split == "dev"] == [
        ("lm_eval:sums.yaml, split validation, document 1", "in_sums")
    ]
