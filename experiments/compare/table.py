"""Table: every method against the same number of random rows, on dev, on test and on each test task.

In: the items of all runs. Out: a CSV for each table, printed as Markdown, too. Further tables compare the contenders with
`top`, the default, and the methods of the curve with the whole pool, and say what each method costs.
"""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from experiments.compare.costs import costs
from experiments.compare.items import items_of
from experiments.compare.settings import load_settings, runs
from shed.common.atomic_io import write_table
from shed.evaluation.comparison import MEASURES, NAMES, compare, compare_by_task, compare_with_all
from shed.params import Params
from stages import main


def run(_: Params) -> None:
    settings = load_settings()
    items = items_of(runs(settings))
    for split in ("dev", "test"):
        table = compare(items, split, "random")
        write_table(f"experiments/compare/{split}.csv", table)
        print(f"\n{split}: means over seeds ± their standard deviation; gains over as many random rows [95 %], p by Holm\n")
        print(markdown(table))
    tasks = compare_by_task(items, "test", "random")
    write_table("experiments/compare/by_task.csv", tasks)
    for task, table in tasks.groupby("task"):
        print(f"\n{task} alone\n")
        print(markdown(table))
    shares = {float(contender.rsplit("-", 1)[1]) for contender in settings.contenders.methods}
    of_curve = {contender.rsplit("-", 1)[0] for contender in settings.curve.methods}
    whole = compare_with_all(items[items["method"].isin(of_curve)], "test", "full")
    write_table("experiments/compare/with_all.csv", whole)
    print("\nagainst tuning on the whole pool\n")
    print(markdown(whole))
    with_top = compare(items[items["fraction"].isin(shares)], "test", "top")
    with_top = with_top[with_top["loss_gain"].notna()].reset_index(drop=True)
    write_table("experiments/compare/with_top.csv", with_top)
    print("\nagainst top, the default, at the same share\n")
    print(markdown(with_top))
    of_methods = costs(one.method for one in runs(settings)).sort_values(["fte", "seconds"], ignore_index=True)
    write_table("experiments/compare/costs.csv", of_methods)
    print("\nwhat selecting costs\n")
    print("| method | FTE | seconds |\n| --- | --- | --- |")
    print("\n".join(f"| `{row.method}` | {row.fte:.1f} | {row.seconds:.0f} |" for row in of_methods.itertuples()))


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, with the measures that it has."""
    measures = [measure for measure in MEASURES if measure in table]
    named = [NAMES[measure] for measure in measures]
    head = ["share", "method", "seeds", *(cell for name in named for cell in (name, f"gain in {name}", "p"))]
    rows = [
        [f"{row['fraction']:.0%}", f"`{row['method']}`", f"{row['seeds']}"]
        + [cell for measure in measures for cell in _cells(row, measure)]
        for row in table.to_dict("records")
    ]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _cells(row: dict[Hashable, Any], measure: str) -> list[str]:
    if pd.isna(row[measure]):
        return ["", "", ""]
    mean = f"{row[measure]:.3f}" + ("" if pd.isna(row[f"{measure}_std"]) else f" ± {row[f'{measure}_std']:.3f}")
    gain, low, high, p = (row.get(f"{measure}_{what}") for what in ("gain", "gain_low", "gain_high", "p_holm"))
    if pd.isna(gain):
        return [mean, "", ""]
    if pd.isna(p):
        return [mean, f"{gain:+.3f}", ""]
    return [mean, f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]", f"{p:.4f}" if p >= 0.0001 else "< 0.0001"]


if __name__ == "__main__":
    main(run)
