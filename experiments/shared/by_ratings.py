"""Clusters scored by the mean ratings of their records, by which the comparison's samplers go unless they are named otherwise.

In: clusters with ratings. Out: their scores, with Shapley scores beside them where those are known.
"""

import numpy as np
import pandas as pd

from shed.selection.cluster_scores import mean_ratings, ranked

F = 800.0  # of qwcs: mean ratings differ by thousandths


def scores_by_ratings(clusters: pd.DataFrame, shapley: pd.DataFrame | None = None) -> pd.DataFrame:
    """`rank`, `cluster`, `score`, a row for each cluster, best first, and its `shapley` from the table that has it.

    Args:
        clusters: `cluster` and `rating`, a row for each record that may be selected; a cluster without any has no score.
        shapley: `cluster` and `shapley`, a row for each cluster.
    """
    means, _ = mean_ratings(clusters)
    scores = ranked(pd.DataFrame({"cluster": np.unique(clusters["cluster"]), "score": means}))
    return scores if shapley is None else scores.merge(shapley[["cluster", "shapley"]], on="cluster", validate="one_to_one")
