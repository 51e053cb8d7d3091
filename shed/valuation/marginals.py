"""A marginal for every pool record, proxy or not.

In: an open game whose candidates are all records that are not proxies, and an estimator that differentiates. Out: a marginal
for each record.
"""

import numpy as np
import pandas as pd

from shed.valuation.budget import Budget, Cost, spend
from shed.valuation.estimate import Estimator
from shed.valuation.proxy_game import ProxyGame


def of_all_records(game: ProxyGame, clusters: pd.DataFrame, estimator: Estimator, budget: Budget) -> tuple[np.ndarray, Cost]:
    """What one more of each record would add, (N,) float64, in units of utility, and what it cost to know.

    Args:
        game: opened with `candidate` where `proxy` is not.
        clusters: `id` and `proxy`, a row for each pool record.
        estimator: one whose estimates have marginals of records: metagradient or in-run.
    """
    outcome = spend(estimator, game.play, budget)
    estimate = outcome.estimate
    assert estimate.records is not None
    assert estimate.candidates is not None
    place = {id: i for i, id in enumerate(clusters["id"])}
    marginals = np.empty(len(clusters))
    marginals[[place[proxy.id] for proxy in game.proxies]] = estimate.records
    marginals[~clusters["proxy"].to_numpy()] = estimate.candidates
    return marginals, outcome.cost
