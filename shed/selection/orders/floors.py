"""A part of the budget that is shared out evenly, so that no source, cluster or length is left out.

In: candidates in the order in which a sampler takes them, and a floor. Out: the rows that it keeps, with the reason for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd

from shed.common.errors import ShedError

Balance = Literal["source", "cluster", "length", "source_and_length"]
QUARTILES = (0.25, 0.5, 0.75)
PLURAL: Mapping[Balance, str] = {
    "source": "sources",
    "cluster": "clusters",
    "length": "quarters by length",
    "source_and_length": "quarters by length of the sources",
}


@dataclass(frozen=True)
class Floor:
    """A part of the budget that is shared out evenly, so that no group is left out.

    Attributes:
        by: what groups are: `source`, `cluster`, `length` (the quarters of the candidates by their response tokens), or
            `source_and_length` (the quarters of each source, among which its part is shared out evenly once more).
        share: of the budget; each group has an equal part of it for its own best rows, as far as it has rows.
    """

    by: Balance
    share: float


@dataclass(frozen=True)
class Groups:
    """Groups of N candidates.

    Attributes:
        labels: (N,) str, what each candidate's group is called, as in "source web".
        parts: of the whole, by label; their sum is 1.
    """

    labels: pd.Series
    parts: Mapping[str, float]


def groups_of(candidates: pd.DataFrame, by: Balance) -> Groups:
    """The groups of candidates.

    Args:
        candidates: `source`, `cluster` or `response_tokens`, a row for each; the columns that `by` names.
    """
    if by == "source":
        return _evenly("source " + candidates["source"].astype(str))
    if by == "cluster":
        return _evenly("cluster " + candidates["cluster"].astype(str))
    if by == "length":
        return _evenly(quarters(candidates["response_tokens"]))
    if by == "source_and_length":
        labels, parts = pd.Series("", index=candidates.index), dict[str, float]()
        of_sources = candidates.groupby("source", sort=False)["response_tokens"]
        for source, tokens in of_sources:
            own = _evenly(f"source {source} with " + quarters(tokens))
            labels[tokens.index] = own.labels
            parts |= {label: part / of_sources.ngroups for label, part in own.parts.items()}
        return Groups(labels, parts)
    assert_never(by)


def quarters(tokens: pd.Series) -> pd.Series:
    """What the quarter of each of N records by length is called, (N,) str, as in "responses of 3 to 5 tokens".

    Records of one length are in one quarter, so that there are fewer than four where many are of the same length.

    Args:
        tokens: (N,) int, response tokens.
    """
    edges = np.unique(np.quantile(tokens, QUARTILES))
    quarter = pd.Series(np.searchsorted(edges, tokens.to_numpy()), index=tokens.index)  # up to an edge, and with it
    within = tokens.groupby(quarter)
    names = {
        place: "responses of " + (f"{least} to {most} tokens" if least < most else f"{most} token" + "s" * (most != 1))
        for place, least, most in zip(within.min().index, within.min(), within.max(), strict=True)
    }
    return quarter.map(names)


def check_parts(groups: Groups, costs: np.ndarray, amount: int, counted: str, floor: Floor) -> None:
    """Refuse a floor of which some group's part is less than its cheapest row.

    Args:
        costs: (N,) int, what each candidate adds to the budget.
        amount: the budget.
        counted: what it counts: "rows" or "response tokens".

    Raises:
        ShedError: some group's is.
    """
    cheapest = pd.Series(costs, index=groups.labels.index).groupby(groups.labels).min()
    if any(least > _part(amount, floor, groups.parts[str(label)]) for label, least in cheapest.items()):
        raise ShedError(
            f"a floor of {floor.share:g} of {amount:,} {counted} is less than one row for each of {len(groups.parts)} "
            f"{PLURAL[floor.by]}; raise the floor or the budget, or set the balance to none",
            "floor",
        )


def kept_by_floor(
    candidates: pd.DataFrame, order: np.ndarray, costs: np.ndarray, amount: int, counted: str, floor: Floor
) -> dict[int, str]:
    """The floor's rows by their places, the first of each group in the sampler's order, with the reason.

    Args:
        order: (N,) int, places of candidates; costs, amount and counted are those of `check_parts`.

    Raises:
        ShedError: the floor is less than a row for each group.
    """
    groups = groups_of(candidates, floor.by)
    check_parts(groups, costs, amount, counted, floor)
    labels = groups.labels.to_numpy()
    taken: dict[str, list[int]] = {label: [] for label in groups.parts}
    left, full = {label: _part(amount, floor, part) for label, part in groups.parts.items()}, set[str]()
    for place, label in zip(order, labels[order], strict=True):
        if label not in full and costs[place] <= left[label]:
            taken[label].append(int(place))
            left[label] -= costs[place]
        elif taken[label]:
            full.add(label)  # a first row that is too long gives way to the next, later ones do not
    why = {label: f"one of {len(places)} that the floor keeps of {label}" for label, places in taken.items()}
    kept = {place for places in taken.values() for place in places}
    return {int(place): why[labels[place]] for place in order if place in kept}


def _evenly(labels: "pd.Series[Any]") -> Groups:
    names = labels.unique().tolist()
    return Groups(labels, dict.fromkeys(names, 1 / len(names)))


def _part(amount: int, floor: Floor, part: float) -> float:
    """What a group may take; rounded, so that a part that is whole but for the last digits is whole."""
    return round(amount * floor.share * part, 9)
