"""The evaluated items of runs in one table, which `shed.evaluation.comparison` compares.

In: runs that were made. Out: their items, with each run's `method`, `fraction` and `seed`.
"""

from collections.abc import Iterable

import pandas as pd

from experiments.compare.settings import Run
from shed.common.errors import ShedError


def items_of(runs: Iterable[Run]) -> pd.DataFrame:
    """All items of these runs.

    Raises:
        ShedError: a run was not made yet.
    """
    return pd.concat([_items(run) for run in runs], ignore_index=True)


def _items(run: Run) -> pd.DataFrame:
    path = f"experiments/compare/runs/{run.name}.parquet"
    try:
        items = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise ShedError(f"{path}: no such file; python -m experiments.compare.run {run.name} makes it") from error
    return items.assign(method=run.method, fraction=run.fraction, seed=run.seed)
