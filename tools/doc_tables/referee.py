"""Table: two selections of the same pool before the referee, one of them by scores from elsewhere.

In: `experiments/selection/referee.json`, as `python -m experiments.referee --json` writes it. Out: a block of docs/referee.md.
"""

import itertools

from tools.doc_tables.markdown import TASKS, Block, code, gain, table
from tools.doc_tables.values import Row, result

RESULT, RANDOM, OURS, THEIRS = "selection/referee", "random_rows", "top", "bergson"
PAIRS = ((RANDOM, OURS), (RANDOM, THEIRS), (OURS, THEIRS))  # over which, and whose gain
MEASURES = ("loss", "choice_loss", "accuracy")


def judged() -> str:
    """Each selection's gain over random rows, and the one's over the other, by task and measure."""
    rows = []
    for split, measure in itertools.product(("test", "dev"), MEASURES):
        found: dict[str | None, dict[str, list[Row]]] = {None: result(RESULT)["all_tasks"][split]}
        if split == "test" and measure == "loss":
            found.update((task, _of_task(task)) for task in TASKS)
        for task, tables in found.items():
            cells = [_gain(tables[reference], method, measure) for reference, method in PAIRS]
            rows.append([_where(split, task), measure.replace("_", " "), *cells])
    head = [f"{code(method)} over {'random rows' if reference == RANDOM else code(reference)}" for reference, method in PAIRS]
    return table(["measured on", "gain in", *head], rows)


def _of_task(task: str) -> dict[str, list[Row]]:
    """By reference, as `all_tasks` has them."""
    by_task: dict[str, list[Row]] = result(RESULT)["by_task"]["test"]
    return {reference: [row for row in rows if row["task"] == task] for reference, rows in by_task.items()}


def _gain(rows: list[Row], method: str, measure: str) -> str:
    return next(gain(row, measure) for row in rows if row["method"] == method)


def _where(split: str, task: str | None) -> str:
    if split == "dev":
        return "dev (CommonsenseQA)"
    return "test, all three tasks" if task is None else f"test, {TASKS[task]}"


BLOCKS: dict[str, Block] = {"two selections": judged}
