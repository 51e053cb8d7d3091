"""Tables of selections before the referee: the default's; two, one by scores from elsewhere; and several, on unseen tasks.

In: `experiments/selection/referee.json` and `default.json`, as `python -m experiments.referee --json` writes them, and
`unseen.json` beside them, as `python -m experiments.unseen` does. Out: blocks of docs/referee.md and docs/results.md.
"""

import itertools

from tools.doc_tables.markdown import TASKS, Block, code, gain, p_value, table
from tools.doc_tables.values import Row, result

RESULT, RANDOM, OURS, THEIRS = "selection/referee", "random_rows", "top", "bergson"
PAIRS = ((RANDOM, OURS), (RANDOM, THEIRS), (OURS, THEIRS))  # over which, and whose gain
MEASURES = ("loss", "choice_loss", "accuracy")
UNSEEN, BOTH = "selection/unseen", MEASURES[:2]


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


def on_unseen_tasks() -> str:
    """Gains over random rows on what is left of dev, on all unseen tasks together, and the gain in loss on each."""
    found = result(UNSEEN)
    by_task: list[Row] = found["by_task"]["unseen"]["random"]
    tasks = list(dict.fromkeys(row["task"] for row in by_task))
    rows = []
    for method in (name for name in found["rows"] if name != "random"):
        of_all = [
            _gain(found["all_tasks"][split]["random"], method, measure) for split in ("dev", "unseen") for measure in BOTH
        ]
        rows.append(
            [code(method), *of_all, *(_gain([row for row in by_task if row["task"] == one], method, "loss") for one in tasks)]
        )
    head = [f"{split}, {measure.replace('_', ' ')}" for split in ("dev", "unseen") for measure in BOTH]
    return table(["rows by", *head, *(f"{one}, loss" for one in tasks)], rows)


def of_the_default() -> str:
    """Gains of today's default selection over random rows on more questions: over all test tasks, on each, and on dev."""
    found = result("selection/default")
    rows = []
    for split, task in (("test", None), *(("test", one) for one in TASKS), ("dev", None)):
        own: list[Row] = found["all_tasks" if task is None else "by_task"][split][RANDOM]
        (row,) = (one for one in own if one["method"] == OURS and one.get("task") == task)
        rows.append(
            [_where(split, task), *(cell for measure in MEASURES for cell in (gain(row, measure), p_value(row, measure)))]
        )
    head = (cell for measure in MEASURES for cell in (f"gain in {measure.replace('_', ' ')}", "p"))
    return table(["measured on", *head], rows)


BLOCKS: dict[str, Block] = {
    "the default on more questions": of_the_default,
    "two selections": judged,
    "unseen tasks": on_unseen_tasks,
}
