"""The rows of a run.

In: a cell of the plan, signals, and files of selections from elsewhere. Out: the records that are tuned on, best first.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.realistic.plan import METHODS, Cell
from experiments.realistic.setup import Setup
from experiments.realistic.signals import Signals
from experiments.shared.by_ratings import F, scores_by_ratings
from shed.common.errors import ShedError
from shed.data.records import Record
from shed.selection.contenders import BY_CLUSTERS, contend, method_of
from shed.selection.given.order import select_given
from shed.selection.sampling import Size, budget
from shed.settings.selecting import given_order

OF_TOKENS = "top_per_token"  # ratings divided by response tokens
NAME = re.compile("[a-z0-9_]+")  # of a selection from elsewhere
SAMPLERS = ("random", "full", "top", *BY_CLUSTERS)


class Selections:
    """Rows of cells.

    Args:
        files: selections from elsewhere, by the names that cells have for their methods.
    """

    def __init__(self, setup: Setup, signals: Signals, files: Mapping[str, Path]) -> None:
        self._setup, self._signals, self._files = setup, signals, files
        self._by_id = {record.id: record for record in setup.splits.pool}

    def check(self, plan: Iterable[Cell]) -> None:
        """Refuse methods that cannot be, before the first run is made.

        Raises:
            ShedError: a method is unknown, or goes by what this study does not compute.
        """
        known = (*SAMPLERS, OF_TOKENS, *self._signals.names)
        for method in dict.fromkeys(cell.method for cell in plan if cell.method not in self._files):
            own = method_of(method)
            if own.on:
                raise ShedError(f"{method}: Shapley scores and tested tasks are not computed in this study; leave it out")
            if own.takes not in known or (own.within and own.takes not in BY_CLUSTERS):
                raise ShedError(f"no method is called {method}; there are {', '.join(known)}, or NAME=FILE")

    def needs(self, cell: Cell) -> str | None:
        """The signal that a cell's rows are taken by, or None."""
        takes = method_of(cell.method).takes
        if cell.method in self._files or takes in ("random", "full"):
            return None
        return "rating" if takes == OF_TOKENS or takes in SAMPLERS else takes

    def rows(self, cell: Cell) -> list[Record]:
        """The records of a run.

        Raises:
            ShedError: the method's signal cannot be computed, or a file is no selection of this pool.
        """
        setup, own = self._setup, method_of(cell.method)
        table = setup.lengths.assign(cluster=0, distance=0.0, rating=np.nan, per="record")
        scores = pd.DataFrame({"cluster": [0], "score": [np.nan], "rank": [1]})
        size = budget(len(table), cell.share, None)
        if cell.method in self._files:
            order = given_order(str(self._files[cell.method]), setup.params.data.reading, setup.splits.pool)
            return self._records(select_given(order, table, scores, Size(size.amount))["id"].tolist())
        needed, found = self.needs(cell), pd.DataFrame({"id": table["id"]})
        if needed is not None:
            values = self._signals.column(cell.dev or "any", needed)
            if needed == "rating":
                table = table.assign(rating=values)
                found[OF_TOKENS] = values / table["response_tokens"]
            else:
                found[needed] = values
        if own.takes in BY_CLUSTERS:
            table = table.assign(**dict(self._signals.clusters[["cluster", "distance"]]))
            scores = scores_by_ratings(table)
        floor = setup.params.sample.floor
        ids = contend(cell.method, table, scores, table["rating"], found, size.amount, F, cell.seed, floor)
        return self._records(ids)

    def _records(self, ids: list[str]) -> list[Record]:
        return [self._by_id[id] for id in ids]


def files_of(methods: list[str]) -> tuple[list[str], dict[str, Path]]:
    """Methods as they were asked for: their names, and the files of those that were given as NAME=FILE.

    Raises:
        ShedError: a name is none or a method's, or there is no such file.
    """
    names: list[str] = []
    files: dict[str, Path] = {}
    for text in methods:
        name, given, file = text.partition("=")
        if given:
            if not NAME.fullmatch(name) or name in METHODS or not Path(file).is_file():
                raise ShedError(f"{text}: no such file, or no name of its own; give a selection as NAME=FILE")
            files[name] = Path(file)
        names.append(name)
    if files:
        print(f"shed: from files: {', '.join(files)}", file=sys.stderr)
    return names, files
