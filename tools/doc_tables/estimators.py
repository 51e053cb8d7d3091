"""Tables of estimators in games whose Shapley values are known, and in games of real records whose utilities were all measured.

In: `benchmarks/estimators.json`. Out: the blocks of docs/estimators.md.
"""

from tools.doc_tables.markdown import Block, number_text, table
from tools.doc_tables.values import Row, result

NAMES = {
    "regression_without_curve": "regression without the curve",
    "regression": "regression",
    "regression_banzhaf": "regression, Banzhaf weights",
    "permutation": "permutation",
    "removal": "removal",
}
CURVES = {"additive": "sum", "root": "root", "maximum": "maximum"}


def known(players: int, measure: str) -> Block:
    """A row for each estimator, a column for each game, and in a cell a value for each number of evaluations."""

    def block() -> str:
        found = result("benchmarks/estimators")[str(players)]
        games = [(title(kind, name), game) for kind, of_kind in found.items() for name, game in of_kind.items()]
        names = list(games[0][1])
        rows = [
            [NAMES.get(name, f"shapiq's {name}"), *(by_evaluations(game[name], measure) for _, game in games)] for name in names
        ]
        return table([f"{players} players", *(shown for shown, _ in games)], rows)

    return block


def title(kind: str, name: str) -> str:
    """Of a known game its curve and whether it has noise; of a measured game its name."""
    return f"{name} game" if kind == "measured" else f"{CURVES[kind]}{'' if name == '0' else ', noise'}"


def by_evaluations(cells: dict[str, Row | None], measure: str) -> str:
    return ", ".join("–" if one is None else number_text(one[measure], ".2f") for one in cells.values())


BLOCKS: dict[str, Block] = {
    "known games, 60 players, Spearman": known(60, "spearman"),
    "known games, 60 players, deviation of Spearman": known(60, "spearman_std"),
    "known games, 60 players, error": known(60, "error"),
    "known games, 8 players, Spearman": known(8, "spearman"),
    "known games, 8 players, error": known(8, "error"),
}
