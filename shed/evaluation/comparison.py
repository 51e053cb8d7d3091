"""Which selection wins: gains over random rows, paired by seed and by item, with intervals and corrected p-values.

In: for each run (method, fraction, seed) its evaluated items. Out: a row for each method and fraction; also by task, and
against the whole pool.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

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
VALUES: dict[Measure, str] = {"loss": "nats", "choice_loss": "choice_nats", "accuracy": "correct", "generation": "written"}
HIGHER_IS_BETTER = ("accuracy", "generation")


class PairedGain(NamedTuple):
    """Gains, higher is better, with the ends of their 95 % intervals, their two-sided p-values, and the share of the variance
    that is between items, the rest being between seeds."""

    gain: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    of_items: np.ndarray


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
    a two-way layout: between seeds, plus between items within each task, less what is in both, and not less than either. Its
    degrees of freedom are Satterthwaite's times (f - 1) / f, at least f, where f is the seeds less one. p-values are corrected
    by Holm for the number of methods at that fraction and measure. Runs of fewer than three seeds have gains alone.

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


def share_of_items(items: pd.DataFrame, split: str, reference: str, method: str, measure: Measure) -> float:
    """Which share of the variance of a gain, as `compare` has it, is between items; NaN where there is no interval."""
    of_split = items[items["task"].str.startswith(f"{split}_")].sort_values(["seed", "task", "id"])
    found, other = (_runs(of_split[of_split["method"] == name], measure) for name in (method, reference))
    if found is None or other is None:
        return np.nan
    return float(paired_gain(found.values - other.values, found.size, found.task).of_items)


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
    of = paired_gain(sign * (found.values - reference.values), found.size, found.task)
    values = {"gain": of.gain, "gain_low": of.low, "gain_high": of.high, "p": of.p}
    return {f"{measure}_{name}": float(value) for name, value in values.items()}


def luck_of_a_draw(spread: np.ndarray, draws: int) -> np.ndarray:
    """How far one draw of rows may lie from the mean of others by chance: half of a 95 % prediction interval.

    Args:
        spread: (...) standard deviation of a measure between the runs of a control whose rows are drawn anew for each seed.
        draws: how many runs; three or more.

    Returns:
        (...), in units of the measure.
    """
    reach: np.ndarray = student.ppf(0.975, draws - 1) * spread * np.sqrt(1 + 1 / draws)
    return reach


def paired_gain(difference: np.ndarray, size: np.ndarray, task: np.ndarray) -> PairedGain:
    """The mean gain, its 95 % interval and its p-value, as `compare` says; of many comparisons at once, for simulations.

    Args:
        difference: (..., S, I), what each item gains under each of S seeds.
        size: (I,), what the sums over items are divided by: tokens, or ones.
        task: (I,), each item's.

    Returns:
        Arrays (...); NaN but for the gain, of fewer than three seeds.
    """
    seeds, tasks = difference.shape[-2], [task == name for name in np.unique(task)]
    by_seed = np.mean([difference[..., own].sum(axis=-1) / size[own].sum() for own in tasks], axis=0)  # (..., S)
    gain = by_seed.mean(axis=-1)
    if seeds < FEWEST_SEEDS:
        return PairedGain(gain, *(np.full_like(gain, np.nan) for _ in range(4)))
    between_seeds = by_seed.var(axis=-1, ddof=1) / seeds
    of_items, in_both = np.zeros_like(gain), np.zeros_like(gain)  # what seeds do to items one by one is in both
    squares = between_seeds**2 / (seeds - 1)  # of each part, by its degrees of freedom
    for own in tasks:  # a mean for each unit of size is a ratio, whose error is that of its residuals
        values, share, count = difference[..., own], size[own] / size[own].sum(), int(own.sum())
        residuals = values / size[own].sum() - values.sum(axis=-1, keepdims=True) / size[own].sum() * share  # (..., S, I)
        if count > 1:
            scale = count / (count - 1) / len(tasks) ** 2
            part = scale * np.square(residuals.mean(axis=-2)).sum(axis=-1)
            of_items, squares = of_items + part, squares + part**2 / (count - 1)
            in_both = in_both + scale * residuals.var(axis=-2, ddof=1).sum(axis=-1) / seeds
    variance = np.maximum(np.maximum(between_seeds, of_items), between_seeds + of_items - in_both)
    known = variance > 0
    satterthwaite = np.divide(variance**2, squares, out=np.full_like(gain, seeds - 1.0), where=known)
    few = seeds - 1  # Satterthwaite's are too many where so few make most of the variance (benchmarks/verdict_coverage.py)
    dof = np.maximum(few, (few - 1) / few * satterthwaite)
    error = np.sqrt(variance)
    reach = student.ppf(0.975, dof) * error
    from_0 = np.divide(np.abs(gain), error, out=np.where(gain == 0, 0.0, np.inf), where=known)
    both = of_items + between_seeds
    share_of_items = np.divide(of_items, both, out=np.full_like(gain, np.nan), where=both > 0)
    return PairedGain(gain, gain - reach, gain + reach, 2 * student.sf(from_0, dof), share_of_items)
