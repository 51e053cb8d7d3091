"""Tables of estimators and of how far scores can be trusted.

In: `experiments/valuation/*.json` and `benchmarks/*.json`. Out: the blocks of docs/fidelity.md,
docs/estimators.md and docs/choosing.md.
"""

from collections.abc import Mapping
from typing import Any

from tools.doc_tables.markdown import Block, code, interval, number_text, table
from tools.doc_tables.values import Row, result

ESTIMATORS = {
    "metagradient": "metagradient",
    "metagradient_redrawn": "metagradient, redrawn (the default)",
    "metagradient_banzhaf": "metagradient, Banzhaf weights",
    "in_run": "in-run",
    "regression": "regression",
    "regression_on_in_run": "regression on in-run",
    "regression_on_metagradient": "regression on metagradient",
    "permutation": "permutation",
    "removal": "removal",
    "removal_of_4": "removal, 4 at a time",
    "KernelSHAP": "shapiq's KernelSHAP",
    "shapiq_KernelSHAP": "shapiq's KernelSHAP",
    "SVARM": "shapiq's SVARM",
}
SCORES = {
    "shapley": "Shapley scores",
    "rating": "the proxies' ratings",
    "cosine": "embedding cosine to dev",
    "bm25": "BM25 to dev",
    "length": "response length",
    "random": "random scores (the middle 95 %)",
}


def of_estimators(found: Mapping[str, Mapping[str, Row | None]], measure: str, *, intervals: bool = False) -> str:
    """A row for each estimator, a column for each budget in FTE; a dash where the budget buys no estimate."""
    budgets = max((list(by) for by in found.values()), key=len)
    budgets = [fte for fte in budgets if any(by.get(fte) for by in found.values())]

    def cell(by: Mapping[str, Row | None], fte: str) -> str:
        one = by.get(fte)
        if one is None:
            return "–" if fte in by else ""
        return interval(one, measure) if intervals else f"{one[measure]:.2f}"

    rows = [[ESTIMATORS[name], *(cell(by, fte) for fte in budgets)] for name, by in found.items()]
    return table(["within FTE", *budgets], rows)


def accuracy(game: str) -> Block:
    """Rank correlation of estimators with exact Shapley values in a game of eight players."""
    return lambda: of_estimators(result("valuation/accuracy_against_cost")[game]["estimators"], "spearman")


def fidelity(game: str, measure: str, *, intervals: bool = False) -> Block:
    """LDS of estimators, or their correlation with a reference, in a game of 64 players."""
    return lambda: of_estimators(result("valuation/fidelity_against_cost")[game]["estimators"], measure, intervals=intervals)


def halves() -> str:
    """LDS of each kind of scores in the scoring and in the target regime."""
    return of_audit(result("valuation/halves"))


def audit() -> str:
    """The same of the pipeline's own audit."""
    return of_audit(result("metrics/fidelity"))


def of_audit(found: Row) -> str:
    regimes = [found[name] for name in ("scoring", "target") if name in found]
    rows = [
        [shown, *(interval(regime[name], "lds") for regime in regimes)] for name, shown in SCORES.items() if name in regimes[0]
    ]
    return table(["LDS [95 %]", "scoring regime", "target regime"][: 1 + len(regimes)], rows)


def regimes() -> str:
    """LDS of scores from each of several regimes, in that regime and in the target regime."""
    rows = [
        [
            name,
            f"{one['v_all']:.2f}",
            interval(one["own"], "lds"),
            by_seed([target["lds"] for target in one["target"]]),
            interval(one["target_mean"], "lds"),
        ]
        for name, one in result("valuation/regimes")["regimes"].items()
    ]
    head = [
        "scored in",
        "v(all)",
        "LDS in that regime",
        "LDS in the target regime, by seed",
        "LDS, utilities averaged over seeds",
    ]
    return table(head, rows)


def smoothness() -> str:
    """For each game the cosines of close gradients, and how right one pair's scores are, by seed."""
    named = {"mild": "mild, SGD", "harsh": "harsh, SGD", "frozen_adam": "frozen Adam (the default)", "adamw": "AdamW"}
    rows = [
        [named[name], f"{game['v_all']:.2f}", by_seed(game["cosines"]), by_seed(game["spearman_with_exact"])]
        for name, game in result("valuation/smoothness")["games"].items()
    ]
    return table(["game", "v(all)", "cosine of close gradients, by seed", "Spearman with exact values, by seed"], rows)


def sizes() -> str:
    """LDS for halves with other records, of the size of the audit's and of a selection's."""
    audited = result("valuation/selection_sized")["audited"]
    rows = [
        [str(one["records_of_a_half"]), code(one["utility"]), f"{one['utility_std']:.3f}"]
        + [interval(found, "lds") for found in (*one["lds"].values(), one["random"])]
        for one in audited
    ]
    return table(["records in a half", "utility", "deviation of utilities", *audited[0]["lds"], "random scores"], rows)


def members() -> str:
    """LDS in the scoring regime for halves with another member in each proxy's place, averaged over draws."""
    named = {"score": "mean ratings of clusters", "shapley of proxies": "Shapley scores of proxies"} | SCORES
    found = result("valuation/other_members")["mean_over_draws"]
    return table(["scores", "LDS [95 %]"], [[named[name], interval(own, "lds")] for name, own in found.items()])


def hundred() -> str:
    """Correlations with exact values of a hundred records in eight clusters."""
    measures = {
        "spearman_by_record": "by record: Spearman",
        "pearson_by_record": "Pearson",
        "spearman_of_clusters": "by cluster: Spearman",
        "pearson_of_clusters": "Pearson",
        "spearman_with_its_game": "own game: Spearman",
        "pearson_with_its_game": "Pearson",
    }
    ways: dict[str, Row] = result("valuation/hundred_records")["ways"]
    ordered = sorted(ways, key=lambda name: "all records" not in name)

    def cell(name: str, measure: str) -> str:
        """Exact values are those of their own game, and the marginals of the others belong to no game."""
        own_game = measure.endswith("its_game")
        return "" if own_game and ("exact" in name or "others" in name) else f"{ways[name][measure]:.2f}"

    rows = [[name, *(cell(name, one) for one in measures), f"{ways[name]['fte']:.1f}"] for name in ordered]
    return table(["scores", *measures.values(), "FTE"], rows)


def sweep() -> str:
    """For each C and way to score its cost, its LDS, and the mean rating of what each sampler selects."""
    found = result("valuation/sweep")
    samplers = {"qocs": code("qocs")} | {f"qwcs_f_{f}": f"{code('qwcs')}, f = {f}" for f in ("0.5", "1", "2", "8")}
    rows = [
        [str(one["C"]), one["scores"]]
        + ([f"{one['fte']:.1f}", interval(one, "lds")] if "lds" in one else ["", ""])
        + [number_text(1000 * one[name], ".1f") for name in samplers]
        for one in found["scored"]
    ]
    rows += [
        ["", name, "", "", f"{1000 * found[key]:.1f}", "", "", "", ""]
        for name, key in {"all rows": "mean_rating_of_all", "the best rows": "mean_rating_of_the_best_rows"}.items()
    ]
    return table(["C", "scores", "FTE", "LDS", *samplers.values()], rows)


def candidates() -> str:
    """How well the marginal of a candidate stands for the exact one."""
    runs = result("valuation/candidates")["runs"]
    rows = []
    for where in ("absent", "present"):
        own: list[dict[str, Any]] = [run[where] for run in runs]
        ratios = [one[key] / one["mean_exact"] for one in own for key in one if key.startswith("mean_as_")]
        ranks = [one["rank_correlation"] for one in own]
        rows.append([where, f"{min(ranks):.2f} to {max(ranks):.2f}", f"{min(ratios):.1f} to {max(ratios):.1f}"])
    return table(["proxies", "rank correlation", "mean marginal as a candidate over the exact mean"], rows)


def clusters() -> str:
    """Cost and LDS of one pair of metagradient runs as C grows."""
    rows = [
        [
            point["model"].removeprefix("packaged/"),
            f"{point['C']:,}",
            f"{point['fte']:.2f}",
            f"{point['seconds']:.0f}",
            f"{point['v_none']:.2f}",
            f"{point['v_all']:.2f}",
            interval(point, "lds"),
        ]
        for point in result("valuation/cost_against_clusters")["points"]
    ]
    return table(["model", "C", "FTE", "seconds", "v(none)", "v(all)", "LDS"], rows)


def evaluation() -> str:
    """Seconds of one evaluation of a coalition, by the engine and by a process that starts anew."""
    found = result("benchmarks/evaluation_cost")
    named = {
        "naive": "a new process for each coalition",
        "engine_depth_4": "engine, LoRA in the top 4 layers, 8 coalitions together",
        "engine_depth_4_alone": "engine, LoRA in the top 4 layers, one alone",
        "engine_depth_all": "engine, LoRA in all layers (the default), 8 together",
        "engine_depth_all_alone": "engine, LoRA in all layers, one alone",
    }
    faster, share = found["times_faster_than_naive"], found["share_of_peak"]
    rows = [
        [shown, f"{found['seconds_per_evaluation'][name]:.2f}"]
        + [format(values[name], spec) if name in values else "" for values, spec in ((faster, ".1f"), (share, ".0%"))]
        for name, shown in named.items()
    ]
    return table(["one evaluation", "seconds", "times faster", "share of peak speed"], rows)


def by_seed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


BLOCKS: dict[str, Block] = {
    "estimators, mild game, Spearman": accuracy("mild"),
    "estimators, harsh game, Spearman": accuracy("harsh"),
    "64 players, LDS": fidelity("top_4_layers", "lds"),
    "64 players, correlation with the reference": fidelity("top_4_layers", "spearman"),
    "64 players, default regime": fidelity("default", "lds", intervals=True),
    "audit of 32 halves": halves,
    "audit of the default run": audit,
    "regimes": regimes,
    "smoothness": smoothness,
    "other records": sizes,
    "other members": members,
    "a hundred records": hundred,
    "sweep": sweep,
    "candidates": candidates,
    "cost as C grows": clusters,
    "cost of an evaluation": evaluation,
}
