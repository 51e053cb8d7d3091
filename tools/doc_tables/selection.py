"""Tables of selections compared: which rows to tune on, and what it costs to know.

In: `experiments/compare/*.csv`, `experiments/selection/*.json` and the results of `experiments/realistic`. Out: the blocks of
docs/results.md, docs/choosing.md, docs/robustness.md, docs/realistic.md and the README.
"""

from typing import Any

import pandas as pd

from shed.common.import_closure import ROOT
from shed.evaluation.comparison import compare
from tools.doc_tables.markdown import TASKS, Block, code, gain, interval, mean, number_text, p_value, table
from tools.doc_tables.values import Row, result

MEASURES = {"loss": "loss", "choice_loss": "choice loss", "accuracy": "accuracy"}
SHARE = 0.1
SHOWN_BY_TASK = ("in_run", "top", "top_by_source", "top_on_all_tasks", "cosine", "qocs_on_shapley", "qocs")
SHORT = ("in_run", "top", "cosine", "qocs_on_shapley", "ifd", "qwcs", "qocs", "random")


def compared(rows: list[Row], first: str = "method", name: str = "method", *, shares: bool = False) -> str:
    """A row for each method: its loss, and its gains in each measure with corrected p-values."""
    head = [
        *(["share"] if shares else []),
        first,
        "loss",
        *(cell for one in MEASURES.values() for cell in (f"gain in {one}", "p")),
    ]
    return table(
        head,
        [
            [*([f"{row['fraction']:.0%}"] if shares else []), code(row[name]), mean(row, "loss")]
            + [cell for measure in MEASURES for cell in (gain(row, measure), p_value(row, measure))]
            for row in rows
        ],
    )


def at_share(name: str) -> list[Row]:
    """The rows of the contenders at a tenth of the pool."""
    return [row for row in result(name) if row["fraction"] == SHARE]


def curve() -> str:
    """`top` and random rows at every share, and the whole pool, on test."""
    shown = [row for row in result("compare/test") if row["method"] in ("top", "random", "full")]
    return compared(shown, shares=True)


def headline() -> str:
    """The default's gain over random rows, over all test tasks and on each of them."""
    by_task = {row["task"]: row for row in at_share("compare/by_task") if row["method"] == "top"}
    (overall,) = (row for row in at_share("compare/test") if row["method"] == "top")
    shown = {"all three": overall} | {TASKS[task]: by_task[task] for task in TASKS}
    head = ["test task", *(f"gain in {name}" for name in MEASURES.values())]
    return table(head, [[task, *(gain(row, measure) for measure in MEASURES)] for task, row in shown.items()])


def by_task() -> str:
    """Gains in loss of some methods on each test task."""
    cells = {(row["task"], row["method"]): gain(row, "loss") for row in at_share("compare/by_task")}
    rows = [[code(method), *(cells[task, method] for task in TASKS)] for method in SHOWN_BY_TASK]
    return table(["gain in loss", *TASKS.values()], rows)


def short() -> str:
    """Some contenders at a tenth of the pool, with what their selection costs."""
    costs = {row["method"]: row for row in result("compare/costs")}
    kept = {row["method"]: row for row in at_share("compare/test")}
    rows = [
        [
            code(name),
            mean(kept[name], "loss", ".2f"),
            gain(kept[name], "loss"),
            f"{costs[name]['fte']:.0f}",
            f"{costs[name]['seconds']:.0f}",
        ]
        for name in SHORT
    ]
    return table(["rows chosen by", "test loss", "gain over random rows", "FTE", "seconds"], rows)


def against(reference: str, method: str) -> str:
    """A contender against another, from the items of their runs."""
    folder = ROOT / "experiments/compare/runs"
    runs = [
        pd.read_parquet(path).assign(method=one, fraction=SHARE, seed=int(path.stem.rsplit("-", 1)[1]))
        for one in (reference, method)
        for path in sorted(folder.glob(f"{one}-{SHARE}-*.parquet"))
    ]
    shown: list[list[str]] = []
    for split in ("test", "dev"):
        rows: list[Any] = compare(pd.concat(runs, ignore_index=True), split, reference).to_dict("records")
        (row,) = (row for row in rows if row["method"] == method)
        shown.append([split, *(cell for measure in MEASURES for cell in (gain(row, measure), p_value(row, measure)))])
    return table(["split", *(cell for name in MEASURES.values() for cell in (f"gain in {name}", "p"))], shown)


def more_items() -> str:
    """Gains on more items: over all tasks, and on each."""
    found = result("selection/more_items")
    groups = {"all three": found["all_tasks"]} | {TASKS[task]: found["by_task"][f"test_{task}"] for task in TASKS}
    rows = [
        [group, code(row["method"]), *(cell for measure in MEASURES for cell in (gain(row, measure), p_value(row, measure)))]
        for group, own in groups.items()
        for row in own
        if row["method"] != "random"
    ]
    head = ["test task", "method", *(cell for name in MEASURES.values() for cell in (f"gain in {name}", "p"))]
    return table(head, rows)


def realistic() -> str:
    """Runs on mixed instruction data that were made so far: gains at a tenth of the pool, for each dev set."""
    found, rows = result("realistic/results"), []

    def cell(row: Row, name: str, spec: str) -> str:
        return number_text(row[name], spec) if row.get(name) is not None else ""

    for dev, of in found["dev_sets"].items():
        on_dev = {row["method"]: row for row in of["dev"] if row["fraction"] == SHARE}
        for row in (row for row in of["test"] if row["fraction"] == SHARE):
            few = row.get("loss_gain_low") is None  # under fewer than three seeds there is no interval
            gains = [cell(own, "loss_gain", "+.2f") if few else gain(own, "loss") for own in (on_dev[row["method"]], row)]
            numbers = [cell(row, "loss", ".3f"), *gains, cell(row, "generation", ".3f")]
            rows.append([dev, code(row["method"]), str(row["seeds"]), *numbers])
    head = [
        "selected for",
        "rows chosen by",
        "seeds",
        "test loss",
        "gain in loss on dev",
        "gain in loss on test",
        "exact match",
    ]
    return table(head, rows) if rows else "No run of this table was made yet."


def costs() -> str:
    """What each method costs."""
    rows = [[code(row["method"]), f"{row['fte']:.1f}", f"{row['seconds']:.0f}"] for row in result("compare/costs")]
    return table(["method", "FTE", "seconds"], rows)


def ratings() -> str:
    """Other ways to rate, and what their selections gain on dev records that no rating was made for."""
    found = result("selection/ratings")
    agree, shared = found["rank_correlation_with_the_default"], found["rows_shared_with_the_default"]
    rows = [
        [
            row["method"].removesuffix(", in units of their deviations"),
            f"{agree[row['method']]:.2f}",
            str(shared[row["method"]]),
        ]
        + [cell for measure in MEASURES for cell in (gain(row, measure), p_value(row, measure))]
        for row in found["selections"]
        if row["method"] != "random"
    ]
    head = [
        "ratings by",
        "correlation",
        "rows shared",
        *(cell for name in MEASURES.values() for cell in (f"gain in {name}", "p")),
    ]
    return table(head, rows)


def transfer() -> str:
    """Rated with one model, tuned with another."""
    rows = [
        [
            tuned,
            row["method"],
            mean(row, "loss"),
            *(cell for measure in MEASURES for cell in (gain(row, measure), p_value(row, measure))),
        ]
        for tuned, own in result("selection/transfer")["tuned"].items()
        for row in own["selections"]
    ]
    head = ["tuned", "rated with", "loss", *(cell for name in MEASURES.values() for cell in (f"gain in {name}", "p"))]
    return table(head, rows)


def predicted(*splits: str) -> str:
    """How well three means over a selection's rows predict what its runs measured."""
    ways = {"rating": "rows' ratings", "score": "clusters' mean ratings", "shapley": "clusters' Shapley scores"}
    spearman = result("selection/selections_predicted")["spearman"]
    rows = [
        [split, name, *(interval(spearman[split][measure][way], "spearman") for way in ways)]
        for split in splits
        for measure, name in MEASURES.items()
    ]
    return table(["split", "measured", *ways.values()], rows)


def predicted_by_task() -> str:
    """How well the rows' ratings predict each test task."""
    spearman = result("selection/selections_predicted")["spearman"]
    rows = [
        [name, *(interval(spearman[f"test_{task}"][measure]["rating"], "spearman") for task in TASKS)]
        for measure, name in MEASURES.items()
    ]
    return table(["measured", *TASKS.values()], rows)


def budgets() -> str:
    """Four selections by ratings of each pool, for rows and for response tokens, on dev records that no rating used."""
    pools: dict[str, Row] = result("selection/lengths")
    rows = [
        [
            pool if first else "",
            way,
            f"{own['rows']:,}",
            f"{own['response_tokens']:,}",
            *(over(own["gains"][control]) for control in ("random_rows", "random_tokens")),
        ]
        for pool, found in pools.items()
        for first, (way, own) in zip([True, False, False, False], found["ways"].items(), strict=True)
    ]
    head = ["pool", "budget and ratings", "rows", "response tokens", "gain over random rows", "gain at as many tokens"]
    return table(head, rows)


def over(own: Row) -> str:
    """A gain in loss with its interval, from a study."""
    gain, low, high = (number_text(own[end], "+.3f") for end in ("gain", "low", "high"))
    return f"{gain} [{low}, {high}]"


BLOCKS: dict[str, Block] = {
    "gain of the default": headline,
    "contenders in short": short,
    "contenders on test": lambda: compared(at_share("compare/test")),
    "contenders on dev": lambda: compared(at_share("compare/dev")),
    "curve on test": curve,
    "gains by task": by_task,
    "against the default": lambda: compared(result("compare/with_top")),
    "against the whole pool": lambda: compared(result("compare/with_all"), shares=True),
    "qwcs against qocs": lambda: against("qocs", "qwcs"),
    "Shapley scores against mean ratings": lambda: against("qocs", "qocs_on_shapley"),
    "more items": more_items,
    "costs of methods": costs,
    "budgets and lengths": budgets,
    "realistic pool": realistic,
    "other ratings": ratings,
    "transfer": transfer,
    "selections predicted": lambda: predicted("test", "dev"),
    "selections predicted by task": predicted_by_task,
}
