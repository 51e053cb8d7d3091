"""Do scores say which selection tunes the better model? Every selection of the comparison, predicted and measured.

In: the comparison's selections, runs and tables, and the default's ratings and scores. Out: selections_predicted.json.
`dvc --cd experiments/selection repro selections_predicted` runs it, in seconds.

A contender's selections at 10 % of the pool are predicted by the mean of their rows' ratings, of their clusters' mean
ratings, and of their clusters' Shapley scores. They are measured by their runs' means over seeds, on dev, on test and on
each task by itself. The result is the Spearman correlation over contenders, with a bootstrap interval over them. The
question is not which contender wins, but whether those predicted to be better are better.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from experiments.compare.settings import Run, load_settings, runs
from experiments.shared.by_ratings import scores_by_ratings
from shed.common.atomic_io import write_json
from shed.valuation.estimate import rank_correlation

RESULT = "experiments/selection/selections_predicted.json"
SHARE, RESAMPLES, SEED = 0.1, 1000, 1
BETTER = {"loss": -1, "choice_loss": -1, "accuracy": 1}


def main() -> None:
    asked = [run for run in runs(load_settings()) if run.fraction == SHARE]
    worth = of_rows()
    predicted = pd.DataFrame([{"method": run.method} | mean_of_rows(run, worth) for run in asked]).groupby("method").mean()
    result: dict[str, Any] = {"share": SHARE, "contenders": predicted.reset_index().to_dict("records"), "spearman": {}}
    by_task = of_tasks(asked)
    splits = {split: pd.read_csv(f"experiments/compare/{split}.csv") for split in ("dev", "test")}
    whole = {split: table[table["fraction"] == SHARE].set_index("method") for split, table in splits.items()}
    for where, table in (whole | by_task).items():
        measured = table.loc[predicted.index]
        result["spearman"][where] = {
            measure: {name: correlated(predicted[name], sign * measured[measure]) for name in predicted}
            for measure, sign in BETTER.items()
        }
    write_json(RESULT, result)
    print(json.dumps(result, indent=2))


def of_tasks(asked: list[Run]) -> dict[str, pd.DataFrame]:
    """For each test task what the runs measured, means over seeds, a row for each method."""
    items = pd.concat(
        pd.read_parquet(f"experiments/compare/runs/{run.name}.parquet").assign(method=run.method, seed=run.seed)
        for run in asked
    )
    tests = items[items["task"].str.startswith("test_")].groupby(["task", "method", "seed"])
    found = pd.DataFrame(
        {
            "loss": tests["nats"].sum() / tests["tokens"].sum(),
            "choice_loss": tests["choice_nats"].mean(),
            "accuracy": tests["correct"].mean(),
        }
    )
    means = found.groupby(["task", "method"]).mean()
    return {str(task): table.droplevel("task") for task, table in means.groupby("task")}


def of_rows() -> pd.DataFrame:
    """What each pool record, by its id, and its cluster are said to be worth."""
    clusters = pd.read_parquet("data/clusters.parquet")[["id", "cluster"]]
    ratings, scores = pd.read_parquet("data/ratings.parquet"), pd.read_parquet("data/scores.parquet")
    rated = clusters.merge(ratings, on="id")
    own = rated.merge(scores_by_ratings(rated, scores), on="cluster").set_index("id")
    return own[["rating", "score", "shapley"]]


def mean_of_rows(run: Run, worth: pd.DataFrame) -> dict[str, float]:
    """The mean worth of a run's rows."""
    rows = pd.read_parquet(f"experiments/compare/selections/{run.name}.parquet")["id"]
    return {str(name): float(mean) for name, mean in worth.loc[rows].mean().items()}


def correlated(predicted: pd.Series, measured: pd.Series) -> dict[str, float]:
    """Spearman, and the 95 % interval of a bootstrap over contenders."""
    points = np.stack([predicted.to_numpy(), measured.to_numpy()])
    rng = np.random.default_rng(SEED)
    drawn = [rank_correlation(*points[:, rng.integers(0, len(predicted), len(predicted))]) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return {"spearman": rank_correlation(*points), "spearman_low": float(low), "spearman_high": float(high)}


if __name__ == "__main__":
    main()
