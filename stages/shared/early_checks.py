"""What later stages would refuse, refused before any of them is paid for.

In: params, dev, the pool and its lengths. Out: nothing, or an error in one line.
"""

from collections.abc import Mapping, Sequence
from math import ceil

import pandas as pd

from shed.common.errors import ShedError
from shed.data.records import Record
from shed.params import Params
from shed.selection.candidates import candidates
from shed.selection.given.order import taken
from shed.selection.orders.floors import check_parts, groups_of
from shed.selection.sampling import COUNTED
from shed.settings.estimators import ESTIMATORS
from shed.settings.selecting import floor_of
from shed.valuation.budget import Budget
from shed.valuation.costs.forecast import check_budget
from shed.valuation.fidelity import FEWEST, half_coalitions
from shed.valuation.screening import counts
from stages.shared.selecting import given_order, sample_size

NOT_RATED = pd.DataFrame({"id": pd.Series(dtype=str), "rating": pd.Series(dtype=float)})


def check_utilities(params: Params, dev: Sequence[Record]) -> None:
    """Refuse dev records without options where a utility over options is asked for.

    Raises:
        ShedError: the first such utility.
    """
    rated, scored = params.rate.dev_rows if params.rate.warm_rows else 0, params.score.dev_rows
    asked = {
        "rate.utility": (params.rate.utility, rated),
        "score.utility": (params.score.utility, scored),
        "fidelity.target_utility": (params.fidelity.target_utility, scored if params.fidelity.target_coalitions else 0),
    }
    for key, (kind, rows) in asked.items():
        measured = dev[:rows]
        without = [record for record in measured if not record.choices]
        if without and kind not in (None, "dev_loss"):
            raise ShedError(
                f"{key} is {kind}, but {len(without):,} of the {len(measured):,} dev records that it is measured on have no "
                f"options, the first is {without[0].id} ({without[0].origin}); set it to dev_loss, or give them options "
                f"({key} in params.yaml)"
            )


def check_dev_tasks(params: Params, dev: Sequence[Record], shares: Mapping[str, float]) -> None:
    """Refuse to measure utility on so few dev records that a task which counts has none of them.

    Args:
        shares: of the dev tasks by their names; empty where there is one alone.

    Raises:
        ShedError: the first such number, and the first task that has none.
    """
    asked = {"score.dev_rows": params.score.dev_rows} | (
        {"rate.dev_rows": params.rate.dev_rows} if params.rate.warm_rows else {}
    )
    for key, rows in asked.items():
        there = {record.source for record in dev[:rows]}
        if lacking := [name for name, share in shares.items() if share and name not in there]:
            raise ShedError(
                f"{key} is {rows}, but the dev task {lacking[0]} has none of the first {rows} dev records; each task needs at "
                f"least one: set it higher, or to null ({key} in params.yaml)"
            )


def check_selection(params: Params, pool: Sequence[Record], lengths: pd.DataFrame) -> None:
    """Refuse a pool of which a later stage could not make clusters, or the rows that are asked for.

    Args:
        lengths: of all its records, as `shed.models.record_lengths.record_lengths` makes them.

    Raises:
        ShedError: it has fewer records than clusters, too few rows or tokens that may be selected, or the selection that was
            made elsewhere cannot be read, is of another pool, or is smaller than the budget; fewer rows are rated than `top` is
            to take; or the floor of each source or length is less than a row.
    """
    if len(pool) < params.C:
        raise ShedError(
            f"the pool has {len(pool)} records, and C is {params.C}; lower C, or give more records", "records of pool"
        )
    if params.sampler == "full":
        return
    table = candidates(lengths[["id"]], lengths, NOT_RATED, "record", params.sample.too_long)
    size = sample_size(params, table)
    if params.sampler == "top" and params.rate.screen is not None and size.unit == "rows":
        _, rated = counts(len(pool), params.rate.screen)
        if rated < size.amount:
            raise ShedError(
                f"{size.amount:,} rows are to be taken by their ratings, but {rated:,} of {len(pool):,} will be rated; rate "
                "more of the pool, or take fewer rows",
                "screen",
            )
    floor = floor_of(params.sample, params.sampler)
    if floor is not None and floor.by != "cluster":  # clusters are not known yet
        sources = {record.id: record.source for record in pool}
        groups = groups_of(table.assign(source=table["id"].map(sources)), floor.by)
        check_parts(groups, size.costs(table), size.amount, COUNTED[size.unit], floor)
    if params.sampler == "given" and params.sample.given is not None:
        taken(given_order(params, params.sample.given, pool), table, size)


def check_audit(clusters: int) -> None:
    """Refuse clusters of which there are too few different halves for an audit of their scores.

    Raises:
        ShedError: there are.
    """
    if len(half_coalitions(clusters, FEWEST, 0)) < FEWEST:
        raise ShedError(
            f"C is {clusters}, and `fidelity` needs at least {FEWEST} different halves of the clusters; raise C to 4 or more "
            "(C in params.yaml)"
        )


def check_score_budget(params: Params, pool_tokens: float, dev_tokens: float) -> str | None:
    """Refuse a budget of scoring that cannot cover its first estimate, before ratings are paid for.

    Args:
        pool_tokens: mean tokens of a pool record.
        dev_tokens: of all the dev records that utility is measured on, together.

    Returns:
        A warning where the budget is likely not to cover it, else None.

    Raises:
        ShedError: it cannot, whatever the clusters are; or the estimator does not take so many clusters.
    """
    score, regime = params.score, params.regime
    proxies = params.C * params.cluster.proxies_per_cluster
    tuned = 2 * regime.epochs * proxies * pool_tokens
    return check_budget(
        ESTIMATORS[score.method](score),
        Budget(**score.budget.model_dump()),
        params.C,
        dev_tokens / (tuned + dev_tokens),
        regime.epochs * ceil(proxies / regime.batch_size),
        warms_up=regime.optimizer == "frozen_adam",
    )
