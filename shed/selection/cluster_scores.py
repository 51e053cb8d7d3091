"""From ratings of records to scores of clusters, and their ranks.

In: a row for each record with its cluster and rating. Out: a score for each cluster, with its standard error.
"""

import numpy as np
import pandas as pd


def mean_ratings(clusters: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(C,) the mean rating of each cluster's records, and its standard error, had they been drawn; NaN of a single one."""
    by_cluster = clusters.groupby("cluster")["rating"]
    return by_cluster.mean().to_numpy(), by_cluster.sem().to_numpy()


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `cluster` and `score`, best first, with `rank` from 1."""
    table = table.sort_values(["score", "cluster"], ascending=[False, True], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table
