"""The pool's records as a selection sees them: which may be taken, what each counts in the budget, how it is rated.

In: tables of clusters, lengths and ratings, by `id`. Out: one table; totals of some of its rows.

A rating is of all of a response, and a budget of rows counts a long one as much as a short one; ratings of tokens and a budget
of response tokens count both by their length. A record that is longer than the context would be tuned on as the context cuts
it, so that it is left out unless it is asked for.
"""

from typing import Literal

import pandas as pd

from shed.common.errors import ShedError

Per = Literal["record", "token"]


def candidates(clusters: pd.DataFrame, lengths: pd.DataFrame, ratings: pd.DataFrame, per: Per, too_long: bool) -> pd.DataFrame:
    """The rows that may be selected: `clusters` with `response_tokens`, `too_long`, `rating` and `per`, in its order.

    Args:
        clusters: a row for each pool record, with its `id`.
        lengths: as `shed.models.record_lengths.record_lengths` makes them, of the same records.
        ratings: `id`, `rating`; a record without one has NaN.
        per: a rating stays as it is, or is divided by the record's response tokens.
        too_long: may records be taken that are longer than the context?

    Raises:
        ShedError: no row is left.
    """
    table = rated(clusters.merge(lengths, on="id", how="left", validate="one_to_one"), ratings, per)
    if too_long:
        return table
    fitting = table[~table["too_long"]].reset_index(drop=True)
    if fitting.empty:
        raise ShedError(
            f"all {len(table):,} records of the pool are longer than the context; raise it, or ask for such records, too",
            "records that are too long",
        )
    return fitting


def rated(records: pd.DataFrame, ratings: pd.DataFrame, per: Per) -> pd.DataFrame:
    """Records with their `rating`, of a whole record or of each of its response tokens, and `per`, which of them it is.

    Args:
        records: with `id` and, for ratings per token, `response_tokens`.
    """
    table = records.merge(ratings, on="id", how="left", validate="one_to_one").assign(per=per)
    return table if per == "record" else table.assign(rating=table["rating"] / table["response_tokens"])


def totals(records: pd.DataFrame) -> dict[str, float | int]:
    """Of one record at least: how many, how many are too long, and response tokens: all, mean, median and most."""
    tokens = records["response_tokens"]
    return {
        "rows": len(records),
        "too_long": int(records["too_long"].sum()),
        "response_tokens": int(tokens.sum()),
        "response_tokens_mean": float(tokens.mean()),
        "response_tokens_median": float(tokens.median()),
        "response_tokens_max": int(tokens.max()),
    }
