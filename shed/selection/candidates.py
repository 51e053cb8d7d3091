"""The pool's records as a selection sees them: which may be taken, what each counts in the budget, how it is rated.

In: tables of clusters, lengths, ratings and perhaps prompt fits, by `id`. Out: one table; which records it leaves out and why;
totals of some of its rows.

A rating is of all of a response, and a budget of rows counts a long one as much as a short one; ratings of tokens and a budget
of response tokens count both by their length. A record that is longer than the context would be tuned on as the context cuts
it, so that it is left out unless it is asked for. A record whose response fits its prompt worse than is asked for is left out.
"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from shed.common.errors import ShedError

Per = Literal["record", "token"]
TOO_LONG, POOR_FIT = "too long", "poor fit"  # why a record is left out


@dataclass(frozen=True)
class LeastFit:
    """The prompt fits of all records (`id`, `prompt_fit`), and the least with which one may be taken."""

    fits: pd.DataFrame
    least: float


def candidates(
    clusters: pd.DataFrame,
    lengths: pd.DataFrame,
    ratings: pd.DataFrame,
    per: Per,
    too_long: bool,
    fit: LeastFit | None = None,
) -> pd.DataFrame:
    """The rows that may be selected: `clusters` with `response_tokens`, `too_long`, `rating` and `per`, in its order.

    Args:
        clusters: a row for each pool record, with its `id`.
        lengths: as `shed.models.record_lengths.record_lengths` makes them, of the same records.
        ratings: `id`, `rating`; a record without one has NaN.
        per: a rating stays as it is, or is divided by the record's response tokens.
        too_long: may records be taken that are longer than the context?
        fit: the prompt fit that a record must have; None: any.

    Raises:
        ShedError: no row is left, or a record has no prompt fit.
    """
    table = rated(clusters.merge(lengths, on="id", how="left", validate="one_to_one"), ratings, per)
    why = left_out(table, too_long, fit)
    if why.notna().all():
        cut = int((why == TOO_LONG).sum())
        if fit is None or cut == len(table):
            raise ShedError(
                f"all {len(table):,} records of the pool are longer than the context; raise it, or ask for such records, too",
                "records that are too long",
            )
        longer = f"{cut:,} are longer than the context, and the other " if cut else ""
        raise ShedError(
            f"none of the {len(table):,} records of the pool is left: {longer}{len(table) - cut:,} have a prompt fit below "
            f"{fit.least}; ask for a lower one",
            "least prompt fit",
        )
    return table[why.isna()].reset_index(drop=True) if why.notna().any() else table


def left_out(records: pd.DataFrame, too_long: bool, fit: LeastFit | None = None) -> "pd.Series[str]":
    """Why each record may not be taken, `TOO_LONG` or else `POOR_FIT`, in the order of the records; None where it may.

    Args:
        records: with `id` and `too_long`.
        too_long, fit: as `candidates` takes them.

    Raises:
        ShedError: a record has no prompt fit.
    """
    why = pd.Series([None] * len(records), index=records.index, dtype=object)
    if fit is not None:
        fits = records["id"].map(fit.fits.set_index("id")["prompt_fit"])
        if lacking := int(fits.isna().sum()):
            raise ShedError(f"{lacking:,} of {len(records):,} records have no prompt fit; find the fits of this pool first")
        why[fits < fit.least] = POOR_FIT
    if not too_long:
        why[records["too_long"]] = TOO_LONG
    return why


def counts_left_out(why: "pd.Series[str]") -> dict[str, int]:
    """How many records are left out for each reason, by `left_out`; those that are left out for both count as too long."""
    names = {TOO_LONG: "left_out_as_too_long", POOR_FIT: "left_out_by_prompt_fit"}
    return {name: int((why == reason).sum()) for reason, name in names.items()}


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
