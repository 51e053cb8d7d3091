"""lm-eval's own tasks, by their names (mmlu, arc_challenge) or from a task file: data and prompts are the task's.

In: a model for lm-eval and names. Out: a row for each item, as for the local tasks.

A task is either of multiple choice, or the model writes its answers (`output_type: generate_until`, as in gsm8k).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from shed.common.errors import ShedError
from shed.data.tasks.named import load_tasks, naming, short_name
from shed.models.specs import Form

if TYPE_CHECKING:
    from shed.evaluation.packed_lm import PackedLM


class Item(NamedTuple):
    """One evaluated item; for its values see `shed.evaluation.lm_evaluation.evaluate`."""

    task: str
    id: str
    correct: float
    nats: float
    tokens: float
    choice_nats: float
    written: float = np.nan


def cross_entropy(nats: Sequence[float], options: Sequence[str], right: int) -> float:
    """In nats, over the options of a question, which are scored by their log-likelihoods per character."""
    scores = -np.asarray(nats) / np.array([max(1, len(option)) for option in options])
    return float(logsumexp(scores) - scores[right])


def evaluate_named(lm: "PackedLM", names: Sequence[str], form: Form, limit: int | None) -> list[Item]:
    """Items of tasks, the task being `test_` and its name.

    A group (mmlu has 57 subjects) is one task here, of all its items; `limit` is for each of its parts. What the model writes
    is scored by the task's first metric that is a number for each item, more being better, after the first of its filters.

    Raises:
        ShedError: no task has this name, its data cannot be loaded, it cannot be run here, or it is neither of multiple choice
            nor has a score from 0 to 1 for each item.
    """
    if not names:
        return []
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager()
    items: list[Item] = []
    for name in names:
        with naming(name):
            results = simple_evaluate(
                model=lm,
                tasks=[name],
                task_manager=manager,
                limit=limit,
                apply_chat_template=form == "chat",
                bootstrap_iters=0,
                log_samples=True,
            )
        for part, samples in results["samples"].items():
            if results["configs"][part].get("output_type") == "generate_until":
                items += _written_items(name, part, samples, results["higher_is_better"][part])
            else:
                items += [_item(name, part, sample, lm) for sample in samples]
    return items


def task_questions(names: Sequence[str], locate: Callable[[str], str] = str) -> dict[str, list[str]]:
    """The questions of named tasks as a model is asked them, so that rows that hold them can be set aside.

    Args:
        locate: where a task file that is relative lies.

    Raises:
        ShedError: no task has this name, or its data cannot be loaded.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        for task in load_tasks(name, locate):
            documents = task.test_docs() if task.has_test_docs() else task.validation_docs()
            questions = (question for document in documents for question in _questions(task, document))
            found.setdefault(short_name(name), []).extend(questions)
    return found


def _questions(task: Any, document: Any) -> list[str]:
    """The question; where lm-eval has a number in its place, as in winogrande, the texts that the model is asked about."""
    text = task.doc_to_text(document)
    return [text] if isinstance(text, str) else [str(option) for option in task.doc_to_choice(document)]


def _item(name: str, part: str, sample: dict[str, Any], lm: "PackedLM") -> Item:
    scored = next((sample[metric] for metric in ("acc_norm", "acc") if metric in sample), None)
    target = sample["target"]
    if scored is None or not isinstance(target, int):
        raise ShedError(
            f"the task {part} is neither multiple choice with one right answer nor one whose answers the model writes, and "
            "only such tasks are measured",
            "tasks",
        )
    nats = [-float(np.ravel(response)[0]) for response in sample["filtered_resps"]]
    options = [option for _, option in sample["arguments"]]
    tokens = lm.continuation_tokens(*sample["arguments"][target])
    task = f"test_{short_name(name)}"
    entropy = cross_entropy(nats, [option.strip() for option in options], target)
    return Item(task, f"{part}/{sample['doc_id']}", float(scored), nats[target], tokens, entropy)


def _written_items(name: str, part: str, samples: Sequence[dict[str, Any]], more_is_better: Mapping[str, bool]) -> list[Item]:
    """lm-eval has a sample for each item and filter."""
    used = samples[0]["filter"]
    own = [sample for sample in samples if sample["filter"] == used]
    metric = next((one for one in own[0]["metrics"] if more_is_better.get(one) and _is_number(own[0][one])), None)
    if metric is None or not all(_is_number(sample[metric]) and 0 <= sample[metric] <= 1 for sample in own):
        raise ShedError(
            f"the answers that are written to the task {part} have no score from 0 to 1 each; its metrics are "
            f"{', '.join(own[0]['metrics'])}",
            "tasks",
        )
    _tell(part, metric, used)
    none = (np.nan,) * 4
    return [Item(f"test_{short_name(name)}", f"{part}/{sample['doc_id']}", *none, float(sample[metric])) for sample in own]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | np.bool_)


@cache
def _tell(part: str, metric: str, used: str) -> None:
    """Once for all models that are evaluated."""
    print(f"shed: {part}: what the model writes is scored by {metric}, after the filter {used}", file=sys.stderr)
