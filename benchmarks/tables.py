"""The benchmarks' results as Markdown tables, for docs/valuation.md and docs/results.md. Usage: python -m benchmarks.tables"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.compare.table import markdown
from shed.common.atomic_io import read_json

COLUMNS = {"times_faster_than_naive": ".1f", "share_of_peak": ".2f"}


def main() -> None:
    if (accuracy := found("accuracy_against_cost")) is not None:
        for regime in (regime for regime in ("mild", "harsh") if regime in accuracy):
            print(f"\n{regime}: v(none) {accuracy[regime]['v_none']:.2f}, v(all) {accuracy[regime]['v_all']:.2f}\n")
            for measure in ("spearman", "pearson"):
                print(estimators(accuracy[regime]["estimators"], measure), end="\n\n")
    if (smoothness := found("smoothness")) is not None:
        print(f"\nthe check of smoothness, whose threshold is {smoothness['threshold']}\n")
        print(of_smoothness(smoothness["games"]))
    if (fidelity := found("fidelity_against_cost")) is not None:
        for name, game in fidelity.items():
            print(
                f"\n{name}: {game['players']} players, {game['coalitions']} halves; v(none) {game['v_none']:.2f}, v(all)",
                end=" ",
            )
            print(f"{game['v_all']:.2f}; LDS of the reference {game['reference']['lds']:.2f}\n")
            for measure in ("lds", "spearman", "pearson", "evaluations"):
                print(estimators(game["estimators"], measure, ".0f" if measure == "evaluations" else ".2f"), end="\n\n")
    if (halves := found("halves")) is not None:
        regimes_of_audit = [halves[regime] for regime in ("scoring", "target")]
        print(f"\nthe audit with {halves['scoring']['coalitions']} halves: LDS [95 %]\n")
        print(of_halves(regimes_of_audit))
    if (regimes := found("regimes")) is not None:
        print(f"\nregimes; utilities of the target regime under two seeds: {by_seed(regimes['between_target_seeds'])}\n")
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
    if (ratings := found("ratings")) is not None:
        print("\nwhat to rate by\n")
        print(of_ratings(ratings))
        print()
        print(markdown(pd.DataFrame(ratings["selections"])))
    if (transfer := found("transfer")) is not None:
        print(f"\ntransfer: ratings agree {rounded(transfer['ratings_agree'])}, rows shared {transfer['rows_shared']}")
        for target, own in transfer["tuned"].items():
            print(f"\ntuned: {target}; untuned: {rounded(own['untuned'])}\n")
            print(markdown(pd.DataFrame(own["selections"])))
    if (sweep := found("sweep")) is not None:
        print(f"\nsweep: mean rating of all rows {sweep['mean_rating_of_all']:.4f},", end=" ")
        print(f"of the best {sweep['mean_rating_of_the_best_rows']:.4f}\n")
        print(of_sweep(sweep["scored"]))
    if (hundred := found("hundred_records")) is not None:
        print("\na hundred records: correlation with exact values\n")
        print(of_hundred(hundred["ways"]))
    if (others := found("other_members")) is not None:
        print(f"\nother members: LDS [95 %] of the mean over draws, which agree at {others['draws_agree']:.2f}\n")
        print(table([["scores", "LDS"], *([name, interval(own, "lds")] for name, own in others["mean_over_draws"].items())]))
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


def of_smoothness(games: dict[str, dict[str, Any]]) -> str:
    """A row for each game: the cosines of close gradients, and how right one pair's scores are, by seed."""
    rows = [
        [name, f"{game['v_all']:.2f}", by_seed(game["cosines"]), by_seed(game["spearman_with_exact"])]
        for name, game in games.items()
    ]
    return table([["game", "v(all)", "cosines of close gradients", "Spearman with exact values"], *rows])


def of_halves(regimes: list[dict[str, Any]]) -> str:
    """A row for each kind of scores, a column for each regime."""
    names = [name for name, one in regimes[0].items() if isinstance(one, dict)]
    rows = [[name, *(interval(regime[name], "lds") for regime in regimes)] for name in names]
    return table([["scores", "scoring regime", "target regime"], *rows])


def of_ratings(found: dict[str, Any]) -> str:
    """A row for each make of ratings: how far it agrees with the default."""
    agree, shared = found["rank_correlation_with_the_default"], found["rows_shared_with_the_default"]
    rows = [[name, f"{agree[name]:.2f}", str(shared[name])] for name in agree]
    return table([["ratings", "rank correlation with the default", f"of {found['rows']} rows shared"], *rows])


def of_sweep(scored: list[dict[str, Any]]) -> str:
    """A row for each C and way to score: its cost, its LDS, and the mean rating of what each sampler selects."""
    samplers = [name for name in scored[0] if name.startswith("q")]
    rows = [
        [str(one["C"]), one["scores"]]
        + ([str(one["evaluations"]), f"{one['fte']:.1f}", interval(one, "lds")] if "lds" in one else ["", "", ""])
        + [f"{one[name]:.4f}" for name in samplers]
        for one in scored
    ]
    return table([["C", "scores", "evaluations", "FTE", "LDS [95 %]", *samplers], *rows])


def of_hundred(ways: dict[str, dict[str, float]]) -> str:
    """A row for each way to estimate: correlations with exact values, of records, clusters and its own game; v; cost."""
    measures = (
        *("spearman_by_record", "pearson_by_record", "spearman_of_clusters", "pearson_of_clusters"),
        *("spearman_with_its_game", "pearson_with_its_game", "v_all"),
    )
    rows = [
        [name, *(f"{own[measure]:.2f}" for measure in measures), f"{own['evaluations']:.0f}", f"{own['fte']:.1f}"]
        for name, own in ways.items()
    ]
    return table([["way", *measures, "evaluations", "FTE"], *rows])


def by_seed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


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
            by_seed([target["lds"] for target in one["target"]]),
            interval(one["target_mean"], "lds"),
            by_seed(one["utilities_with_target"]),
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
