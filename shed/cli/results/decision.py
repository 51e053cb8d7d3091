"""What decided that a record was selected or not, and what would have had to change.

In: params, the rows that might be selected, the scores, and the selection that was made. Out: sentences and their numbers. All
of it holds for exactly one change with all else as it is, and nothing is said that was not computed: where params or data are
no longer those that the selection was made with, that is said and no more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from shed.cli.terminal import counted
from shed.params import Params
from shed.selection.given.order import Order, taken
from shed.selection.orders.by_clusters import qocs
from shed.selection.orders.floors import Floor, groups_of
from shed.selection.sampling import COUNTED, Size, nearest_count, select
from shed.settings.selecting import floor_of

DIGITS = range(3, 13)  # of a fraction after the point
OF_CLUSTER = {  # which rows of a cluster qocs takes first, and those before another one
    None: ("the rows nearest its centre", "rows nearer its centre"),
    "nearest": ("the rows nearest its centre", "rows nearer its centre"),
    "rating": ("the best rated rows", "rows of it that are rated higher"),
    "random": ("random rows", "rows of it that are drawn before this one"),
}
OF_DRAWN = {  # what a draw of its cluster means for a row of it
    None: "and each of the cluster's rows an equal part of it",
    "random": "and each of the cluster's rows an equal part of it",
    "nearest": "and a draw takes the row nearest the centre that is left",
    "rating": "and a draw takes the best rated row that is left",
}


@dataclass
class Decision:
    """Sentences for a reader, and the same as numbers for a program."""

    said: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """What a selection is made from, and what was selected.

    Attributes:
        table: the rows that may be selected, as `shed.selection.candidates.candidates` makes them.
        selected: the reason for each selected row by its id, in the order of selection.
        order: of a selection from elsewhere: what its file means in this pool.
    """

    params: Params
    table: pd.DataFrame
    scores: pd.DataFrame
    size: Size
    selected: Mapping[str, str]
    order: Order | None = None

    @property
    def floor(self) -> Floor | None:
        """As the stage `sample` takes it."""
        return floor_of(self.params.sample, self.params.sampler)

    def is_made_so(self) -> bool:
        """True if these params select from these rows what is selected."""
        sampler = self.params.sampler
        if sampler == "given":
            assert self.order is not None
            return taken(self.order, self.table, self.size) == list(self.selected)
        own = self.params.sample
        if self.floor is None and sampler in ("top", "qocs", "random"):
            order = self.by_sampler()
            made = self.table["id"].iloc[order[: nearest_count(self.size.costs(self.table)[order], self.size.amount)]]
        else:
            made = select(self.table, self.scores, sampler, self.size, own.f, own.seed, self.floor, own.within)["id"]
        return made.tolist() == list(self.selected)

    def by_sampler(self) -> np.ndarray:
        """(N,) the rows in the order in which `top`, `qocs` or `random` takes them, as in `shed.selection.sampling.select`."""
        if self.params.sampler == "top":
            return np.argsort(-self.table["rating"].to_numpy(), kind="stable")
        rng = np.random.default_rng(self.params.sample.seed)
        if self.params.sampler == "random":
            return rng.permutation(len(self.table))
        ranks = self.table["cluster"].map(self.scores.set_index("cluster")["rank"])
        return qocs(self.table.assign(rank=ranks), self.params.sample.within, rng)


def decide(choice: Choice, id: str) -> Decision:
    """Why the record with this id, one of those that may be selected, was selected or not."""
    decision = Decision()
    if not choice.is_made_so():
        decision.said.append(
            "Params and data that are there now give another selection, so that what would have changed this one is not known; "
            "`shed run` makes it anew."
        )
        decision.numbers["selection_is_current"] = False
        return decision
    decision.numbers["selection_is_current"] = True
    place = choice.table.index[choice.table["id"] == id][0]
    sampler = choice.params.sampler
    if sampler == "top":
        _top(choice, place, decision)
    elif sampler == "qocs":
        _qocs(choice, place, decision)
    elif sampler == "qwcs":
        _qwcs(choice, place, decision)
    elif sampler == "random":
        _random(choice, place, decision)
    elif sampler == "given":
        _given(choice, id, decision)
    if (
        sampler != "given"
        and id not in choice.selected
        and choice.floor is not None
        and "rating_needed" not in decision.numbers
    ):
        decision.said.append(
            f"A part of the budget is shared out by {choice.floor.by} first (sample.balance); what would have had to change is "
            "not computed for this case."
        )
    return decision


def _top(choice: Choice, place: int, decision: Decision) -> None:
    ratings, costs = choice.table["rating"].to_numpy(), choice.size.costs(choice.table)
    order = choice.by_sampler()
    if np.isnan(ratings[place]):
        decision.said.append(
            f"It was not rated: of the {len(order):,} that may be selected {np.isfinite(ratings).sum():,} were, and the screen "
            "found others more promising (rate.screen)."
        )
        return
    rank = int(np.flatnonzero(order == place)[0])
    unit = " a response token" if choice.params.rate.per == "token" else ""
    told = f"Among the {np.isfinite(ratings).sum():,} rated ones that may be selected its rating has rank {rank + 1:,}"
    decision.numbers["rank"] = rank + 1
    own = choice.table["id"].iloc[place] in choice.selected
    if choice.floor is None:
        last = ratings[order[len(choice.selected) - 1]]
        decision.numbers["last_selected_rating"] = float(last)
        decision.said.append(
            f"{told}; the last of the {counted(len(choice.selected), 'selected one')} is rated {last:.3g}{unit}."
        )
        if not own:
            others = order[order != place]
            before = _most_before(costs[others], costs[place], choice.size.amount) or 0  # the first row is taken in any case
            _rating_needed(ratings[others[before]], unit, decision)
            _budget_needed(choice, costs[order], rank, decision)
    else:
        decision.said.append(f"{told}.")
        if not own and choice.size.unit == "rows":
            reasons = choice.table["id"].map(choice.selected)
            groups = groups_of(choice.table, choice.floor.by).labels
            rated = reasons.str.startswith("rated ").fillna(False).to_numpy(dtype=bool)  # the others are kept by the floor
            kept = (reasons.notna() & ~rated & (groups == groups.iloc[place])).to_numpy()
            _rating_needed(min(ratings[rows].min() for rows in (rated, kept) if rows.any()), unit, decision)


def _rating_needed(rating: float, unit: str, decision: Decision) -> None:
    decision.numbers["rating_needed"] = float(rating)
    decision.said.append(f"With a rating above {_from_above(rating)}{unit} it would have been selected.")


def _from_above(number: float) -> str:
    """The number with six digits, not less than it is, so that what is said of numbers above holds."""
    text = f"{number:.6g}"
    if float(text) < number:
        text = f"{float(text) + 10.0 ** (math.floor(math.log10(abs(number))) - 5):.6g}"
    return text


def _qocs(choice: Choice, place: int, decision: Decision) -> None:
    costs = choice.size.costs(choice.table)
    pool = choice.table.merge(choice.scores[["cluster", "rank"]], on="cluster", how="left", validate="many_to_one")
    order = choice.by_sampler()
    rank = int(np.flatnonzero(order == place)[0])
    decision.numbers["rank"] = rank + 1
    first, before_it = OF_CLUSTER[choice.params.sample.within]
    decision.said.append(
        f"Clusters are taken from the best score down, and of each {first} first: so it is {rank + 1:,} of {len(order):,}."
    )
    if choice.floor is not None or pool["id"].iloc[place] in choice.selected:
        return
    own, cluster_costs = pool["cluster"].iloc[place], pool.assign(cost=costs)
    nearer = [row for row in order[:rank] if pool["cluster"].iloc[row] == own]
    others = cluster_costs[pool["cluster"] != own].groupby("rank")["cost"].sum()
    room = choice.size.amount - int(costs[nearer].sum())
    before = _most_before(others.to_numpy(), costs[place], room)
    if before is None and nearer:
        decision.numbers["cluster_rank_needed"] = None
        decision.said.append(f"Even if its cluster were the best one, {before_it} would use up the budget.")
    else:
        before = before or 0
        needed = float(choice.scores.set_index("rank")["score"].loc[others.index[before]])
        decision.numbers |= {"cluster_rank_needed": before + 1, "cluster_score_needed": needed}
        decision.said.append(
            f"With a score above {_from_above(needed)}, as cluster {before + 1} from the best, its cluster would have been "
            "taken as far as this row."
        )
    _budget_needed(choice, costs[order], rank, decision)


def _qwcs(choice: Choice, place: int, decision: Decision) -> None:
    own = choice.params.sample
    scores = choice.scores.set_index("cluster")["score"]
    there = scores[scores.index.isin(choice.table["cluster"])]
    weights = np.exp(own.f * (there - there.max()))  # SHED, equation 5
    probability = float(weights[choice.table["cluster"].iloc[place]] / weights.sum())
    decision.numbers |= {"seed": own.seed, "cluster_probability": probability}
    decision.said.append(
        f"Rows were drawn with sample.seed {own.seed}; at the first draw its cluster had a probability of {probability:.3g}, "
        f"{OF_DRAWN[own.within]}."
    )


def _random(choice: Choice, place: int, decision: Decision) -> None:
    seed, rows = choice.params.sample.seed, len(choice.table)
    decision.numbers["seed"] = seed
    if choice.floor is not None:
        decision.said.append(f"Rows were drawn at random with sample.seed {seed}.")
        return
    order = choice.by_sampler()
    rank = int(np.flatnonzero(order == place)[0])
    decision.numbers["rank"] = rank + 1
    decision.said.append(f"Rows were put in a random order with sample.seed {seed}; it is {rank + 1:,} of {rows:,}.")
    if choice.size.unit == "rows":
        decision.numbers["chance"] = choice.size.amount / rows
        decision.said.append(f"Under another seed its chance is that of any row, {choice.size.amount / rows:.3g}.")
    if choice.table["id"].iloc[place] not in choice.selected:
        _budget_needed(choice, choice.size.costs(choice.table)[order], rank, decision)


def _given(choice: Choice, id: str, decision: Decision) -> None:
    assert choice.order is not None
    there = choice.table.set_index("id").index
    ids = [one for one in choice.order.reasons if one in there]
    if id not in ids:
        decision.said.append(f"{choice.order.given.path}, which sample.given names, does not have it.")
        decision.numbers["rank"] = None
        return
    rank = ids.index(id)
    decision.numbers["rank"] = rank + 1
    decision.said.append(
        f"Of the {counted(len(ids), 'record')} of the pool that {choice.order.given.path} names and that may be selected it is "
        f"{rank + 1:,} from the best."
    )
    if id not in choice.selected:
        costs = choice.size.costs(choice.table.set_index("id").loc[ids].reset_index())
        _budget_needed(choice, costs, rank, decision)


def _most_before(costs: np.ndarray, own: int, amount: int) -> int | None:
    """How many of the others, in their order, may stand before one that costs so much, so that it is still taken.

    None: it is not taken even before all of them. `nearest_count` takes a row if half of its cost is within what is left.
    """
    sums = np.concatenate([[0], costs.cumsum()])
    before = int(np.searchsorted(sums, amount - own / 2, side="right")) - 1
    return None if before < 0 else before


def _budget_needed(choice: Choice, costs: np.ndarray, place: int, decision: Decision) -> None:
    """The least budget, all else as it is, that takes a row; `costs` are those of the rows in their order."""
    if choice.floor is not None:
        return
    sums = costs.cumsum()
    amount = math.ceil((int(sums[place]) + (int(sums[place - 1]) if place else 0)) / 2)
    total, unit = int(choice.size.costs(choice.table).sum()), choice.size.unit
    fraction = next((f for f in (round(amount / total, n) for n in DIGITS) if amount <= round(total * f) <= total), None)
    if fraction is not None and nearest_count(costs, round(total * fraction)) <= place:
        fraction = None  # a budget that is met as nearly as rows allow may be met by fewer
    decision.numbers |= {"budget_needed": amount, "fraction_needed": fraction}
    by_share = choice.params.sample.fraction is not None and fraction is not None
    key = f"sample.fraction: {fraction}" if by_share else f"sample.{unit}: {amount}"
    budget = counted(amount, COUNTED[unit].removesuffix("s"))
    decision.said.append(
        f"With a budget of {budget} instead of {choice.size.amount:,} it would have been selected, too ({key})."
    )
