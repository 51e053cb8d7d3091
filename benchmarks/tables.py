"""The benchmarks' results as Markdown tables, for docs/valuation.md and docs/results.md. Usage: python -m benchmarks.tables"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.compare.table import markdown
from shed.files import read_json

COLUMNS = {"times_faster_than_naive": ".1f", "share_of_peak": ".2f"}


def main() -> None:
    if (accuracy := found("accuracy_against_cost")) is not None:
        for regime in (regime for regime in ("mild", "harsh") if regime in accuracy):
            print(f"\n{regime}: v(none) {accuracy[regime]['v_none']:.2f}, v(all) {accuracy[regime]['v_all']:.2f}\n")
            for measure in ("spearman", "pearson"):
                print(estimators(accuracy[regime]["estimators"], measure), end="\n\n")
    if (fidelity := found("fidelity_against_cost")) is not None:
        for name, game in fidelity.items():
            print(
                f"\n{name}: {game['players']} players, {game['coalitions']} halves; v(none) {game['v_none']:.2f}, v(all)",
                end=" ",
            )
            print(f"{game['v_all']:.2f}; LDS of the reference {game['reference']['lds']:.2f}\n")
            for measure in ("lds", "spearman", "pearson", "evaluations"):
                print(estimators(game["estimators"], measure, ".0f" if measure == "evaluations" else ".2f"), end="\n\n")
    if (regimes := found("regimes")) is not None:
        between = ", ".join(f"{value:.2f}" for value in regimes["between_target_seeds"])
        print(f"\nregimes; utilities of the target regime under two seeds: {between}\n")
        print(of_regimes(regimes["regimes"]))
    if (sized := found("selection_sized")) is not None:
        print("\nother records, and halves as large as a selection: LDS [95 %]\n")
        print(of_sizes(sized["audited"]))
    if (selections := found("selections_predicted")) is not None:
        for where, by_measure in selections["spearman"].items():
            contenders = len(selections["contenders"])
            print(f"\nselections of {contenders} contenders, predicted and measured on {where}: Spearman [95 %]\n")
            print(of_selections(by_measure))
    if (more := found("more_items")) is not None:
        for where, rows in ({f"all tasks, {more['items']} items": more["all_tasks"]} | more["by_task"]).items():
            print(f"\nmore items, {where}\n")
            print(markdown(pd.DataFrame(rows)))
    if (cost := found("evaluation_cost")) is not None:
        print("\nevaluation\n")
        print(of_an_evaluation(cost))
    if (clusters := found("cost_against_clusters")) is not None:
        print("\nclusters\n")
        print(points(clusters["points"]))


def found(name: str) -> dict[str, Any] | None:
    """A benchmark's result; None, and a line that says so, before it has been run."""
    path = Path(f"benchmarks/{name}.json")
    if path.exists():
        result: dict[str, Any] = read_json(path)
        return result
    print(f"{path}: not there yet; python -m benchmarks.{name} writes it", file=sys.stderr)
    return None


def estimators(results: dict[str, dict[str, Any]], measure: str, form: str = ".2f") -> str:
    """A row for each estimator, a column for each budget; empty where an estimator was not played."""
    budgets = max((list(by) for by in results.values()), key=len)
    cells = {
        name: ["" if fte not in by else "-" if by[fte] is None else format(by[fte][measure], form) for fte in budgets]
        for name, by in results.items()
    }
    return table([[f"{measure} at FTE", *budgets], *([name, *row] for name, row in cells.items())])


def of_regimes(found: dict[str, dict[str, Any]]) -> str:
    """A row for each regime: LDS of its scores in itself and in the target regime, a number for each of its seeds."""
    head = [
        "scored in",
        "v(all)",
        "LDS in that regime [95 %]",
        "LDS in the target regime, by seed",
        "of the mean over its seeds [95 %]",
        "its utilities with the target's",
    ]
    rows = [
        [
            name,
            f"{one['v_all']:.2f}",
            interval(one["own"], "lds"),
            ", ".join(f"{target['lds']:.2f}" for target in one["target"]),
            interval(one["target_mean"], "lds"),
            ", ".join(f"{value:.2f}" for value in one["utilities_with_target"]),
        ]
        for name, one in found.items()
    ]
    return table([head, *rows])


def of_sizes(audited: list[dict[str, Any]]) -> str:
    """A row for each number of records and utility: LDS of each kind of scores, and of random ones."""
    rows = [
        [str(one["records_of_a_half"]), one["utility"], f"{one['utility_std']:.3f}"]
        + [interval(found, "lds") for found in (*one["lds"].values(), one["random"])]
        for one in audited
    ]
    return table([["records of a half", "utility", "deviation between halves", *audited[0]["lds"], "random scores"], *rows])


def of_selections(by_measure: dict[str, Any]) -> str:
    """A row for each measure: how well each mean over a selection's rows predicts it."""
    names = {"rating": "rows' ratings", "score": "their clusters' mean ratings", "shapley": "their clusters' Shapley scores"}
    rows = [[measure, *(interval(by[name], "spearman") for name in names)] for measure, by in by_measure.items()]
    return table([["measured", *names.values()], *rows])


def interval(found: dict[str, float], name: str) -> str:
    """A value and its interval."""
    return f"{found[name]:.2f} [{found[f'{name}_low']:.2f}, {found[f'{name}_high']:.2f}]"


def of_an_evaluation(found: dict[str, Any]) -> str:
    """A row for each way to evaluate a coalition: seconds, times faster than the naive process, share of the peak."""
    rows = [
        [name, f"{seconds:.2f}"]
        + [format(found[what][name], form) if name in found[what] else "" for what, form in COLUMNS.items()]
        for name, seconds in found["seconds_per_evaluation"].items()
    ]
    return table([["way", "seconds", "times faster", "share of the matrix-product peak"], *rows])


def points(found: list[dict[str, Any]]) -> str:
    head = ["model", "C", "FTE", "seconds", "v(none)", "v(all)", "LDS", "95 %"]
    rows = [
        [
            point["model"],
            f"{point['C']:,}",
            f"{point['fte']:.2f}",
            f"{point['seconds']:.0f}",
            f"{point['v_none']:.2f}",
            f"{point['v_all']:.2f}",
            f"{point['lds']:.2f}",
            f"{point['lds_low']:.2f} to {point['lds_high']:.2f}",
        ]
        for point in found
    ]
    return table([head, *rows])


def table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


if __name__ == "__main__":
    main()
