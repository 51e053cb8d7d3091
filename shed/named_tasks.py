"""lm-eval's own tasks, by their names (mmlu, arc_challenge) or from a task file: data and prompts are the task's.

In: a model for lm-eval and names. Out: a row for each item, as for the local tasks.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shed.errors import ShedError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from shed.packed_lm import PackedLM

Item = tuple[str, str, float, float, int]


def evaluate_named(
    lm: "PackedLM", names: Sequence[str], tokenizer: "PreTrainedTokenizerBase", chat: bool, limit: int | None
) -> list[Item]:
    """Items of tasks of multiple choice: (`task`, `id`, `correct`, `nats`, `tokens`), the task being `test_` and its name.

    A group (mmlu has 57 subjects) is one task here, of all its items; `limit` is for each of its parts.

    Raises:
        ShedError: no task has this name, its data cannot be had, or it is not of multiple choice.
    """
    if not names:
        return []
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager()
    items: list[Item] = []
    for name in names:
        try:
            results = simple_evaluate(
                model=lm,
                tasks=[name],
                task_manager=manager,
                limit=limit,
                apply_chat_template=chat,
                bootstrap_iters=0,
                log_samples=True,
            )
        except KeyError as error:
            raise ShedError(
                f"evaluate.tasks: lm-eval has no task {name!r}; `python -m lm_eval ls tasks` prints its names"
            ) from error
        except OSError as error:
            raise ShedError(f"evaluate.tasks: the data of {name} cannot be had ({error}); it comes from a hub") from error
        for part, samples in results["samples"].items():
            items += [_item(name, part, sample, tokenizer) for sample in samples]
    return items


def _item(name: str, part: str, sample: dict[str, Any], tokenizer: "PreTrainedTokenizerBase") -> Item:
    scored = next((sample[metric] for metric in ("acc_norm", "acc") if metric in sample), None)
    target = sample["target"]
    if scored is None or not isinstance(target, int):
        raise ShedError(f"evaluate.tasks: {part} is not of multiple choice with one right answer, and only those are measured")
    option = sample["arguments"][target][1]
    nats = -float(np.ravel(sample["filtered_resps"][target])[0])
    tokens = tokenizer.encode(option, add_special_tokens=False)
    task = f"test_{name.rsplit('/', 1)[-1].removesuffix('.yaml')}"
    return task, f"{part}/{sample['doc_id']}", float(scored), nats, len(tokens)
