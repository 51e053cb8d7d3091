"""Evaluation through lm-eval on local task files: accuracy and loss, each with a standard error, without a hub.

In: a model and the dev and test records. Out: a table with a row for each item, and its summary by task; two such tables
of the same items give paired differences. Headlines are a split's means over its tasks.
"""

import logging
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from shed.models import load_model, load_tokenizer
from shed.named_tasks import Item, cross_entropy, evaluate_named
from shed.prompts import Form, delimiter, render_prompt
from shed.records import Record

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from shed.packed_lm import PackedLM

Summary = dict[str, dict[str, float | int]]


def evaluate(
    model: str,
    adapter: Path | None,
    splits: dict[str, Sequence[Record]],
    form: Form,
    max_tokens: int,
    limit: int | None,
    batch_size: int,
    named: Sequence[str],
) -> pd.DataFrame:
    """Evaluate a base model, or it with an adapter, on the first `limit` records of each source of each split.

    Args:
        named: lm-eval tasks of which `limit` items are measured, too, as of the split test; see `shed.named_tasks`.

    Returns:
        A row for each item: `task` (split_source), `id`, `correct` (0 or 1; NaN where the record has no options; the option
        with the highest log-likelihood per character, lm-eval's acc_norm), `nats` (of the right response), `tokens`, and
        `choice_nats` (the cross-entropy over the options, whose scores are their log-likelihoods per character, as in the
        utility `choice_loss`; NaN where there are none).
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    from shed.packed_lm import PackedLM

    tokenizer = load_tokenizer(model)
    lm = PackedLM(
        pretrained=_with_adapter(load_model(model), adapter), tokenizer=tokenizer, batch_size=batch_size, max_length=max_tokens
    )
    groups: dict[str, list[Record]] = {}
    for split, records in splits.items():
        for record in records:
            groups.setdefault(f"{split}_{record.source}", []).append(record)
    tasks = {name: records[:limit] for name, records in sorted(groups.items())}
    items = [*_run(lm, tasks, form, tokenizer), *evaluate_named(lm, named, tokenizer, form == "chat", limit)]
    return pd.DataFrame(items, columns=list(Item._fields))


def summarise(items: pd.DataFrame) -> Summary:
    """Accuracy, choice loss (mean nats per question) and loss (mean nats per response token) with standard errors, and the
    number of items, for each task.
    """
    return {str(task): _task_summary(rows) for task, rows in items.groupby("task", sort=True)}


def differences(tuned: pd.DataFrame, base: pd.DataFrame) -> Summary:
    """Tuned minus base on the same items, with paired standard errors.

    Raises:
        ValueError: the tables do not hold the same items.
    """
    both = tuned.merge(base, on=["task", "id"], suffixes=("", "_base"), validate="one_to_one")
    if not len(both) == len(tuned) == len(base):
        raise ValueError("the two evaluations are not of the same items")
    summary: Summary = {}
    for task, rows in both.groupby("task", sort=True):
        change: dict[str, float | int] = {}
        if rows["correct"].notna().all():
            change |= _mean("accuracy", rows["correct"] - rows["correct_base"])
            change |= _mean("choice_loss", rows["choice_nats"] - rows["choice_nats_base"])
        change |= _ratio("loss", rows["nats"] - rows["nats_base"], rows["tokens"])
        summary[str(task)] = change
    return summary


def headline(summary: Summary) -> dict[str, float]:
    """Unweighted means over each split's tasks, as `test_accuracy`, `test_accuracy_stderr`, `test_loss` … `dev_loss_stderr`.

    The standard errors combine as those of independent tasks.
    """
    means: dict[str, float] = {}
    for split in ("test", "dev"):
        for name in ("accuracy", "choice_loss", "loss"):
            having = [values for task, values in summary.items() if task.startswith(f"{split}_") and name in values]
            if having:
                means[f"{split}_{name}"] = float(np.mean([values[name] for values in having]))
                total = np.sqrt(sum(values[f"{name}_stderr"] ** 2 for values in having))
                means[f"{split}_{name}_stderr"] = float(total) / len(having)
    return means


def _run(lm: "PackedLM", tasks: dict[str, list[Record]], form: Form, tokenizer: "PreTrainedTokenizerBase") -> list[Item]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    results = simple_evaluate(
        model=lm,
        tasks=[_task(name, records, form, tokenizer) for name, records in tasks.items()],
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
    )
    rows: list[Item] = []
    for name, samples in results["samples"].items():
        for sample in samples:
            document = sample["doc"]
            nats = [-float(scored[0]) for scored in sample["filtered_resps"]]
            right, correct, choice_nats = 0, np.nan, np.nan
            if document["choices"]:
                right, correct = document["answer"], float(sample["acc_norm"])
                choice_nats = cross_entropy(nats, document["choices"], right)
            tokens = tokenizer.encode(delimiter(form) + document["response"], add_special_tokens=False)
            rows.append(Item(name, document["id"], correct, nats[right], len(tokens), choice_nats))
    return rows


def _task(name: str, records: list[Record], form: Form, tokenizer: "PreTrainedTokenizerBase") -> Any:
    """An lm-eval task over these records, from the local file for records with options, or without."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    file = "choice.yaml" if all(record.choices for record in records) else "response.yaml"
    documents = Dataset.from_list(
        [
            {
                "id": record.id,
                "prompt": render_prompt(record, form, tokenizer),
                "response": record.response,
                "choices": list(record.choices) if file == "choice.yaml" else [],
                "answer": record.answer if file == "choice.yaml" else None,
            }
            for record in records
        ]
    )
    config = yaml.safe_load((files("shed") / "tasks" / file).read_text(encoding="utf-8"))
    config |= {"task": name, "custom_dataset": lambda: {"test": documents}, "target_delimiter": delimiter(form)}
    return ConfigurableTask(config=config)


def _with_adapter(model: "PreTrainedModel", adapter: Path | None) -> "PreTrainedModel":
    if adapter is None:
        return model
    import torch
    from peft import PeftModel

    tuned = PeftModel.from_pretrained(model, str(adapter))
    # in a narrow dtype a merged weight is rounded, and small changes are lost
    return tuned.merge_and_unload() if model.dtype == torch.float32 else tuned.get_base_model()


def _task_summary(rows: pd.DataFrame) -> dict[str, float | int]:
    of_choices: dict[str, float | int] = {}
    if rows["correct"].notna().all():
        of_choices = _mean("accuracy", rows["correct"]) | _mean("choice_loss", rows["choice_nats"])
    return {**of_choices, **_ratio("loss", rows["nats"], rows["tokens"]), "items": len(rows)}


def _mean(name: str, values: pd.Series) -> dict[str, float | int]:
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {name: float(values.mean()), f"{name}_stderr": spread / np.sqrt(len(values))}


def _ratio(name: str, nats: pd.Series, tokens: pd.Series) -> dict[str, float | int]:
    """Nats per token over all items, with the standard error of a ratio of sums (items, not tokens, are independent)."""
    ratio = float(nats.sum() / tokens.sum())
    residual = nats - ratio * tokens
    n = len(nats)
    stderr = float(np.sqrt(n / max(1, n - 1) * np.square(residual).sum())) / float(tokens.sum())
    return {name: ratio, f"{name}_stderr": stderr}
