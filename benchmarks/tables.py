"""The benchmarks' results as Markdown tables, for docs/valuation.md. Usage: python -m benchmarks.tables"""

from typing import Any

from shed.files import read_json


def main() -> None:
    accuracy = read_json("benchmarks/accuracy_against_cost.json")
    for regime in ("mild", "harsh"):
        if regime in accuracy:
            print(f"\n{regime}: v(none) {accuracy[regime]['v_none']:.3f}, v(all) {accuracy[regime]['v_all']:.3f}\n")
            print(estimators(accuracy[regime]["estimators"], "spearman"))
            print()
            print(estimators(accuracy[regime]["estimators"], "pearson"))
    print("\nfidelity\n")
    print(estimators(read_json("benchmarks/fidelity_against_cost.json")["estimators"], "lds"))
    print("\nclusters\n")
    print(points(read_json("benchmarks/cost_against_clusters.json")["points"]))


def estimators(results: dict[str, dict[str, Any]], measure: str) -> str:
    """A row for each estimator, a column for each budget."""
    budgets = max((list(by) for by in results.values()), key=len)
    rows = [[f"{measure} at FTE", *budgets]] + [
        [name, *("-" if by.get(fte) is None else f"{by[fte][measure]:.2f}" for fte in budgets)] for name, by in results.items()
    ]
    return table(rows)


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
