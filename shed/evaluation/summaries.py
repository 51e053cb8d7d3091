"""Evaluated items in few numbers: the measures by task with standard errors, paired differences, headlines.

In: tables with a row for each item, as `shed.evaluation.lm_evaluation.evaluate` makes them. Out: a summary of each task; two
tables of the same items give paired differences. Headlines are a split's means over its tasks.
"""

import numpy as np
import pandas as pd

Summary = dict[str, dict[str, float | int]]


def summarise(items: pd.DataFrame) -> Summary:
    """Accuracy, choice loss (mean nats per question), loss (mean nats per response token) and generation score with standard
    errors, each where the task has it, and the numbers of items and of written answers, for each task.
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
        change |= _mean_of_some("generation", rows["written"] - rows["written_base"])
        summary[str(task)] = change
    return summary


def headline(summary: Summary) -> dict[str, float]:
    """Unweighted means over each split's tasks, as `test_accuracy`, `test_accuracy_stderr`, `test_loss` … `dev_loss_stderr`.

    The standard errors combine as those of independent tasks.
    """
    means: dict[str, float] = {}
    for split in ("test", "dev"):
        for name in ("accuracy", "choice_loss", "loss", "generation"):
            having = [values for task, values in summary.items() if task.startswith(f"{split}_") and name in values]
            if having:
                means[f"{split}_{name}"] = float(np.mean([values[name] for values in having]))
                total = np.sqrt(sum(values[f"{name}_stderr"] ** 2 for values in having))
                means[f"{split}_{name}_stderr"] = float(total) / len(having)
    return means


def _task_summary(rows: pd.DataFrame) -> dict[str, float | int]:
    of_choices: dict[str, float | int] = {}
    if rows["correct"].notna().all():
        of_choices = _mean("accuracy", rows["correct"]) | _mean("choice_loss", rows["choice_nats"])
    written = _mean_of_some("generation", rows["written"])
    counts = {"items": len(rows)} | ({"written": int(rows["written"].notna().sum())} if written else {})
    return {**of_choices, **_ratio("loss", rows["nats"], rows["tokens"]), **written, **counts}


def _mean(name: str, values: pd.Series) -> dict[str, float | int]:
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {name: float(values.mean()), f"{name}_stderr": spread / np.sqrt(len(values))}


def _mean_of_some(name: str, values: pd.Series) -> dict[str, float | int]:
    """Of the items that have the value; nothing if none has."""
    return _mean(name, values.dropna()) if values.notna().any() else {}


def _ratio(name: str, nats: pd.Series, tokens: pd.Series) -> dict[str, float | int]:
    """Nats per token over all items, with the standard error of a ratio of sums (items, not tokens, are independent); nothing
    if they have none."""
    if nats.isna().all():
        return {}
    ratio = float(nats.sum() / tokens.sum())
    residual = nats - ratio * tokens
    n = len(nats)
    stderr = float(np.sqrt(n / max(1, n - 1) * np.square(residual).sum())) / float(tokens.sum())
    return {name: ratio, f"{name}_stderr": stderr}
