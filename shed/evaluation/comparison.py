"""Which selection wins: gains over random rows, paired by seed and by item, with intervals and corrected p-values.

In: for each run (method, fraction, seed) its evaluated items. Out: a row for each method and fraction; also by task, and
against the whole pool.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.stats import t as student

from shed.common.errors import ShedError

Measure = Literal["loss", "choice_loss", "accuracy", "generation"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
NAMES: dict[Measure, str] = {
    "loss": "loss",
    "choice_loss": "choice loss",
    "accuracy": "accuracy",
    "generation": "generation score",
}
FEWEST_SEEDS = 3  # with two, 12 of 100 comparisons without an effect would be called significant
CAUTION = 0.8  # Satterthwaite's degrees of freedom are too many where variances are estimated from few seeds
VALUES: dict[Measure, str] = {"loss": "nats", "choice_loss": "choice_nats", "accuracy": "correct", "generation": "written"}
HIGHER_IS_BETTER = ("accuracy", "generation")


@dataclass(frozen=True)
class _Runs:
    """The items of a method's runs: `values` (S, I), of S seeds; `size` (I,), tokens for the loss, else ones; `task` (I,)."""

    values: np.ndarray
    size: np.ndarray
    task: np.ndarray


def compare(items: pd.DataFrame, split: str, reference: str) -> pd.DataFrame:
    """Compare each method with the reference at the same fraction.

    A measure is the mean over the split's tasks that have it: loss in nats per response token, choice loss in nats per question
    (the cross-entropy over its options), accuracy, generation score. A gain is the reference's loss minus the method's, or the
    method's accuracy or generation score minus the reference's, so that more is better; a run is paired with the reference's
    run of the same seed, and an item with itself. Intervals and two-sided p-values are of Student's t. The variance is that of
    a two-way layout: between seeds, plus between items within each task, less what is in both, and not less than either; its
    degrees of freedom are four fifths of Satterthwaite's, at least the seeds less one. p-values are corrected by Holm for the
    number of methods at that fraction and measure. Runs of fewer than three seeds have gains alone.

    Args:
        items: `method`, `fraction`, `seed`, `task` (split_source), `id`, `correct`, `nats`, `tokens`, `choice_nats`, `written`;
            NaN, or no such column, where an item lacks a measure.
        split: `dev` or `test`.

    Returns:
        `fraction`, `method`, `seeds`, and for each measure its mean over seeds, `_std` (over seeds), `_gain`, `_gain_low`,
        `_gain_high` (95 %), `_p` and `_p_holm`; by fraction, best loss first (or best of the first measure that the items
        have). A fraction without the reference has no gains.

    Raises:
        ShedError: a method was not run with the same seeds as the reference.
    """
    of_split = items[items["task"].str.startswith(f"{split}_")].sort_values(["seed", "task", "id"])
    rows = []
    for fraction, group in of_split.groupby("fraction"):
        methods = {str(method): runs for method, runs in group.groupby("method")}
        references = {measure: _runs(methods[reference], measure) for measure in MEASURES} if reference in methods else {}
        for method, runs in methods.items():
            row: dict[str, object] = {"fraction": fraction, "method": method, "seeds": runs["seed"].nunique()}
            if reference in methods and set(runs["seed"]) != set(methods[reference]["seed"]):
                raise ShedError(f"{method} and {reference} were run with different seeds at {fraction}; run both with the same")
            for measure in MEASURES:
                found = _runs(runs, measure)
                if found is None:
                    continue
                by_seed = _measure(found.values, found)
                row |= {measure: by_seed.mean(), f"{measure}_std": by_seed.std(ddof=1) if len(by_seed) > 1 else np.nan}
                own = references.get(measure) if method != reference else None
                if own is not None:
                    row |= _gain(found, own, measure)
            rows.append(row)
    table = pd.DataFrame(rows)
    for measure in MEASURES:
        if f"{measure}_p" in table:
            table[f"{measure}_p_holm"] = table.groupby("fraction")[f"{measure}_p"].transform(holm)
    best: Measure = next(measure for measure in MEASURES if measure in table)
    return table.sort_values(["fraction", best], ascending=[True, best not in HIGHER_IS_BETTER], ignore_index=True)


def compare_by_task(items: pd.DataFrame, split: str, reference: str) -> pd.DataFrame:
    """As `compare`, of each of the split's tasks by itself, with a column `task` before the others.

    p-values are corrected for the number of methods within a task.
    """
    tasks = sorted(task for task in items["task"].unique() if task.startswith(f"{split}_"))
    if not tasks:
        return pd.DataFrame(columns=["task", "fraction", "method", "seeds"])
    tables = [compare(items[items["task"] == task], split, reference) for task in tasks]
    named = [task.removeprefix(f"{split}_") for task in tasks]
    return pd.concat(tables, keys=named, names=["task"]).reset_index("task").reset_index(drop=True)


def compare_with_all(items: pd.DataFrame, split: str, reference: str) -> pd.DataFrame:
    """As `compare`, of each method at each of its fractions with the `reference` at its own, the whole pool.

    Seeds are the reference's; a method that was not run with all of them at a fraction is left out there. p-values are
    corrected for the number of rows. Empty without runs of the reference.
    """
    whole = items[items["method"] == reference]
    seeds = set(whole["seed"])
    if not seeds:
        return pd.DataFrame(columns=["fraction", "method", "seeds"])
    parts: dict[str, tuple[str, float]] = {}
    paired = [whole]
    for (method, fraction), runs in items[items["method"] != reference].groupby(["method", "fraction"]):
        if seeds <= set(runs["seed"]):
            name = f"{method}-{fraction}"
            parts[name] = str(method), runs["fraction"].iloc[0]
            paired.append(runs[runs["seed"].isin(seeds)].assign(method=name))
    table = compare(pd.concat(paired).assign(fraction=1.0), split, reference)
    table = table[table["method"] != reference].reset_index(drop=True)
    named = table["method"].map(parts)
    return table.assign(method=named.str[0], fraction=named.str[1]).sort_values(["method", "fraction"], ignore_index=True)


def at_the_share_of_most(table: pd.DataFrame) -> pd.DataFrame:
    """Of a table of `compare`, the methods with gains at the share that most of them were run at; empty without gains."""
    if "loss_gain" not in table:
        return table[:0]
    known = table.dropna(subset=["loss_gain"])
    return known[known["fraction"].isin(known["fraction"].mode()[:1])]


def holm(p: pd.Series) -> pd.Series:
    """p-values corrected for their number (Holm 1979); NaN does not count.

    Own code: scipy has no Holm, and these three lines do not carry statsmodels as a dependency.
    """
    known = p.dropna().sort_values()
    corrected = (known * np.arange(len(known), 0, -1)).cummax().clip(upper=1.0)
    return corrected.reindex(p.index)


def _runs(runs: pd.DataFrame, measure: Measure) -> _Runs | None:
    """The runs' items that have the measure, as those of multiple choice have accuracy; None if none has."""
    if VALUES[measure] not in runs:
        return None
    values = runs[VALUES[measure]].to_numpy(dtype=float)
    having = ~np.isnan(values)
    if not having.any():
        return None
    seeds = runs["seed"].to_numpy()[having]
    first = np.flatnonzero(having)[seeds == seeds[0]]
    size = runs["tokens"].to_numpy(dtype=float)[first] if measure == "loss" else np.ones(len(first))
    return _Runs(values[having].reshape(-1, len(first)), size, runs["task"].to_numpy()[first])


def _measure(values: np.ndarray, of: _Runs) -> np.ndarray:
    """(S,) means over tasks of the values (S, I) for each unit of size."""
    by_task = [values[:, own].sum(axis=1) / of.size[own].sum() for own in _tasks(of)]
    return np.asarray(np.mean(by_task, axis=0))


def _tasks(of: _Runs) -> list[np.ndarray]:
    """(I,) bool for each task: its items."""
    return [of.task == task for task in np.unique(of.task)]


def _gain(found: _Runs, reference: _Runs, measure: Measure) -> dict[str, float]:
    sign = 1.0 if measure in HIGHER_IS_BETTER else -1.0
    difference = sign * (found.values - reference.values)
    by_seed = _measure(difference, found)
    seeds, gain = len(by_seed), float(by_seed.mean())
    if seeds < FEWEST_SEEDS:
        return {f"{measure}_gain": gain, **{f"{measure}_{what}": np.nan for what in ("gain_low", "gain_high", "p")}}
    between_seeds = by_seed.var(ddof=1) / seeds
    between_items: list[tuple[float, int]] = []  # each task's, with its degrees of freedom
    in_both = 0.0  # what seeds do to items one by one is in either of them
    tasks = _tasks(found)
    for own in tasks:  # a mean for each unit of size is a ratio, whose error is that of its residuals
        values, size, count = difference[:, own], found.size[own], int(own.sum())
        residuals = (values - values.sum(axis=1, keepdims=True) / size.sum() * size) / size.sum()  # (S, I)
        if count > 1:
            scale = count / (count - 1) / len(tasks) ** 2
            between_items.append((scale * np.square(residuals.mean(axis=0)).sum(), count - 1))
            in_both += scale * residuals.var(axis=0, ddof=1).sum() / seeds
    of_items = sum(part for part, _ in between_items)
    variance = max(between_seeds, of_items, between_seeds + of_items - in_both)
    if not variance:
        return {f"{measure}_gain{end}": gain for end in ("", "_low", "_high")} | {f"{measure}_p": float(gain == 0)}
    parts = [(between_seeds, seeds - 1), *between_items]
    satterthwaite = variance**2 / sum(part**2 / own for part, own in parts)
    dof = max(seeds - 1, CAUTION * satterthwaite)
    error = float(np.sqrt(variance))
    reach = float(student.ppf(0.975, dof)) * error
    return {
        f"{measure}_gain": gain,
        f"{measure}_gain_low": gain - reach,
        f"{measure}_gain_high": gain + reach,
        f"{measure}_p": 2 * float(student.sf(abs(gain) / error, dof)),
    }
