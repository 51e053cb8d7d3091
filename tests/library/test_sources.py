"""Dev as several tasks and tasks of lm-eval, given to a `Selector`; what cannot be read is one line."""

from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from shed import Selector
from shed.common.errors import ShedError
from shed.library import inputs

Rows = list[dict[str, Any]]


def task(rows: Any, weight: float = 1) -> dict[str, Any]:
    return {"from": rows, "weight": weight}


def test_dev_records_have_their_task_and_each_beginning_has_all(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]
) -> None:
    chat = Dataset.from_list([{"prompt": f"say {n}", "response": f"{n}", "source": "elsewhere"} for n in range(12)])
    own = Selector(pool, {"sums": task(dev, 3), "chat": task(chat)}, test, **small)
    sources = [record.source for record in own.prepared.dev]
    assert sources.count("sums") == 4
    assert sources.count("chat") == 12
    assert set(sources[:4]) == {"sums", "chat"}
    assert own._inputs.tasks == {"sums": 0.75, "chat": 0.25}
    assert Selector(pool, dev, test, **small)._inputs.tasks == {}


def test_what_is_set_aside_of_a_task_is_listed_with_it(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    tasks = {
        "sums": task([*dev, dev[1]]),
        "chat": task([{"prompt": "say", "response": ""}, {"prompt": "say", "response": "x"}]),
    }
    own = Selector(pool, tasks, test, **small, **{"data.max_rejects": 0.5})
    assert own.rejects.values.tolist() == [
        ["dev", 4, "sums", "exact_duplicate"],
        ["dev", 0, "chat", "a turn of the assistant is empty"],
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"sums": [{"prompt": "a", "response": "b"}]},
            "the dev is a dict, whose 'sums' is no task; give rows, or tasks as {NAME: ",
        ),
        (DatasetDict({"train": Dataset.from_list([{"a": 1}])}), "the dev is a DatasetDict, whose 'train' is no task"),
        ({"sums": {"from": "lm_eval:x"}}, "the dev is a dict, whose 'sums' is no task"),
        ({"sums": task("lm_eval:x", -1)}, "dev.sums.weight is -1; it must be greater than or equal to 0"),
        ({"sums": task("lm_eval:x", 0)}, "dev: the weights of sums are all 0, so that nothing defines utility"),
        ({"sums": task("lm_eval:x") | {"wieght": 2}}, "unknown key 'dev.sums.wieght' with value 2; did you mean 'weight'?"),
        ({}, "dev is empty; name at least 1"),
        ({"sums": task([])}, "the dev task sums has no rows; give at least two"),
        (
            {"sums": task("my_dev.jsonl")},
            "the dev is a str; give a list of dictionaries or a datasets.Dataset: of a file `load",
        ),
        ("my_dev.jsonl", "the dev is a str; give a list of dictionaries or a datasets.Dataset: of a file `load"),
        ("lm_eval:/nowhere/none.yaml", "/nowhere/none.yaml: no task file of lm-eval can be read there: No such file"),
        (
            {"sums": task([{"prompt": "a", "response": "b"}]), "aside": task([{"prompt": "c", "response": ""}], 0)},
            "the dev task aside",
        ),
    ],
)
def test_a_dev_that_cannot_be_read_is_one_line(given: Any, said: str, pool: Rows, test: Rows, small: dict[str, Any]) -> None:
    with pytest.raises(ShedError) as error:
        Selector(pool, given, test, **small, **{"data.max_rejects": 1.0})
    assert str(error.value).startswith(said)
    assert "rejects.jsonl" not in str(error.value)
    assert "\n" not in str(error.value)


def test_pool_and_test_are_not_made_of_tasks(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    with pytest.raises(ShedError, match="^lm_eval:gsm8k: a task of lm-eval says what is measured, for dev or test; name rows"):
        Selector("lm_eval:gsm8k", dev, test, **small)  # type: ignore[arg-type]
    with pytest.raises(ShedError, match="^the test is a dict, a mapping; give one of its splits, or a list of rows"):
        Selector(pool, dev, {"a": task(test)}, **small)  # type: ignore[arg-type]


def test_the_worst_of_tasks_needs_tasks(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    tasks = {"a": task(dev[:2]), "b": task(dev[2:], 2)}
    for given, said in ((dev, "dev is not made of named tasks"), (tasks, "which has no use for weights, but theirs differ")):
        with pytest.raises(ShedError, match=said):
            Selector(pool, given, test, **small, **{"data.dev_combine": "worst"})


def test_test_records_and_a_task_that_is_measured_have_names_of_their_own(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "task_questions", lambda names: {name: ["what?"] for name in names})
    asked = {**small, "evaluate": {"written": {"limit": 0}, "tasks": ["sums"]}}
    Selector(pool, dev, test, **asked)
    with pytest.raises(ShedError, match="^test records and a task that is measured beside them are both called sums; leave"):
        Selector(pool, dev, [row | {"source": "sums"} for row in test], **asked)
