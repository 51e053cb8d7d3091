"""The benchmarks' results as Markdown tables, for docs/valuation.md. Usage: python -m benchmarks.tables"""

import sys
from pathlib import Path
from typing import Any

from shed.files import read_json


def main() -> None:
    if (accuracy := found("accuracy_against_cost")) is not None:
        for regime in (regime for regime in ("mild", "harsh") if regime in accuracy):
            print(f"\n{regime}: v(none) {accuracy[regime]['v_none']:.2f}, v(all) {accuracy[regime]['v_all']:.2f}\n")
            for measure in ("spearman", "pearson"):
                print(estimators(accuracy[regime]["estimators"], measure), end="\n\n")
    if (fidelity := found("fidelity_against_cost")) is not None:
        print(f"\n{fidelity['players']} players, {fidelity['coalitions']} halves\n")
        print(estimators(fidelity["estimators"], "lds"))
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
