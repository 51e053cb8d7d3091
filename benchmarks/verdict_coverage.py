"""How often the verdict's interval contains the true gain, and how often it says "better" of what gains nothing.

In: nothing. Out: benchmarks/verdict_coverage.json, and a line for each case. Run it by `python -m benchmarks.verdict_coverage`;
it takes some minutes on one core. `--quick` prints a small version and writes nothing.

Whole experiments are simulated: tables of differences, a row for each seed and a column for each item, of a selection whose
true gain is 0. (A true gain only shifts a table and its interval.) A difference is the sum of what the seed does to all items,
what the selected rows do to an item under any seed, and the rest; a case says how much of the gain's variance is due to each.
The interval is the one that the verdict takes, `shed.evaluation.comparison.paired_gain`.

A selection that is drawn at random is simulated apart: its rows are by chance a little better or worse than the mean of all
draws. The interval is about these rows and may rightly lie above 0; the verdict says "better" only where the gain is also more
than the luck of a draw.
"""

import argparse
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Literal, NamedTuple, get_args

import numpy as np

from shed.common.atomic_io import write_json
from shed.evaluation.comparison import luck_of_a_draw, paired_gain

RESULTS = "benchmarks/verdict_coverage.json"
Kind = Literal["normal", "tokens", "accuracy"]
ABOUT: dict[Kind, str] = {
    "normal": "a normal number for each item, as the choice loss",
    "tokens": "nats of responses whose lengths are log-normal, summed over tokens",
    "accuracy": "right or wrong before and after, so that an item gains -1, 0 or 1",
}
SEEDS, TASKS, ITEMS = (3, 5), (1, 4), (80, 300)
SHARES = {  # of the gain's variance: due to seeds, to items, to single items under single seeds
    "items": (0.0, 1.0, 0.0),
    "mostly items": (0.05, 0.9, 0.05),  # as on test of the default run
    "items and seeds": (0.4, 0.5, 0.1),
    "mostly seeds": (0.8, 0.2, 0.0),
    "nearly all seeds": (0.9, 0.05, 0.05),
    "seeds": (1.0, 0.0, 0.0),
    "single results": (0.2, 0.3, 0.5),
}
SPREAD_OF_LENGTHS = 0.9  # standard deviation of the log of a response's tokens; 0.86 on MMLU, the most of the test tasks
MEDIAN_LENGTH = 20
DRAWS = {  # share of the variance between control runs that is due to their rows; variance due to items, in units of the former
    "as in the default run": (0.6, 0.11),
    "as in the comparison": (0.8, 0.024),
}
DRAW_TASKS, DRAW_ITEMS = 3, 80
LATENT = 0.4  # standard deviation of what moves an answer, where items differ by 1: one answer in eight differs
REPETITIONS, AT_ONCE = 20_000, 250


class Case(NamedTuple):
    """One simulated experiment: items are those of each task."""

    kind: Kind
    seeds: int
    tasks: int
    items: int
    shares: str

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.seeds} seeds, {self.tasks} x {self.items} items, {self.shares}"


def cases() -> Iterator[Case]:
    """All of them."""
    every = (Case(*one) for one in product(get_args(Kind), SEEDS, TASKS, ITEMS, SHARES))
    return (case for case in every if (case.kind, case.shares) != ("accuracy", "seeds"))  # whose items differ by hardness


def simulate(case: Case, repetitions: int, seed: int) -> dict[str, float]:
    """The shares of intervals that contain the true gain and that are above it, with Monte Carlo standard errors, and the mean
    half width in standard deviations of the gain."""
    rng = np.random.default_rng(seed)
    found = [_once(case, min(AT_ONCE, repetitions - start), rng) for start in range(0, repetitions, AT_ONCE)]
    gain, low, high = (np.concatenate(parts) for parts in zip(*found, strict=True))
    covered, better = float(((low <= 0) & (high >= 0)).mean()), float((low > 0).mean())
    return {
        "coverage": covered,
        "coverage_error": float(np.sqrt(covered * (1 - covered) / repetitions)),
        "better": better,
        "better_error": float(np.sqrt(better * (1 - better) / repetitions)),
        "reach": float((high - low).mean() / 2 / gain.std()),
    }


def simulate_draw(seeds: int, of_rows: float, of_items: float, repetitions: int, seed: int) -> dict[str, float]:
    """As `simulate`, of a selection that is itself drawn at random, as the controls are: by chance its rows are a little better
    or worse than the mean of all draws, and this is its true gain.

    Args:
        of_rows: the share of the variance between control runs that is due to their rows; the rest is due to tuning.
        of_items: the variance of the gain that is due to items, where that between control runs is 1.

    Returns:
        `coverage` of the rows' true gain; `above`, the share of intervals above 0; `better`, the share that the verdict calls
        better; and `better_is_true`, the share of those whose true gain is above 0.
    """
    rng = np.random.default_rng(seed)
    of_tuning, items = 1 - of_rows, DRAW_TASKS * DRAW_ITEMS
    task = np.repeat(np.arange(DRAW_TASKS), DRAW_ITEMS)
    truth, gain, low, high, luck = (np.zeros(repetitions) for _ in range(5))
    for start in range(0, repetitions, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, repetitions))
        shape = (part.stop - start, seeds, 1)
        truth[part] = np.sqrt(of_rows) * rng.standard_normal(shape[0])
        own = truth[part, None, None] + np.sqrt(of_tuning) * rng.standard_normal(shape)  # of the selection's runs
        control = np.sqrt(of_rows) * rng.standard_normal(shape) + np.sqrt(of_tuning) * rng.standard_normal(shape)
        by_item = np.sqrt(of_items * items) * rng.standard_normal((shape[0], 1, items))
        found = paired_gain(own - control + by_item, np.ones(items), task)
        gain[part], low[part], high[part] = found.gain, found.low, found.high
        luck[part] = luck_of_a_draw(control[..., 0].std(axis=-1, ddof=1), seeds)
    better = (low > 0) & (gain > luck)
    return {
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
        "above": float((low > 0).mean()),
        "better": float(better.mean()),
        "better_error": float(np.sqrt(better.mean() * (1 - better.mean()) / repetitions)),
        "better_is_true": float((truth[better] > 0).mean()) if better.any() else 1.0,
    }


def summary(
    found: Mapping[str, Mapping[str, float]], drawn: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> dict[str, float]:
    """The extremes over all cases, and over selections that were drawn at random."""
    covered = [case["coverage"] for case in found.values()]
    random = [own for seeds in drawn.values() for own in seeds.values()]
    return {
        "cases": len(found),
        "lowest_coverage": min(covered),
        "highest_coverage": max(covered),
        "most_better": max(case["better"] for case in found.values()),
        "random_above": max(own["above"] for own in random),
        "random_better": max(own["better"] for own in random),
    }


def _once(case: Case, repetitions: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gains, and the ends of their intervals."""
    items = case.tasks * case.items

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal((repetitions, *shape), dtype=np.float32)

    of_seeds, of_items, of_both = SHARES[case.shares]
    by_item = np.sqrt(of_items * items) * normal(1, items) + np.sqrt(of_both * items * case.seeds) * normal(case.seeds, items)
    by_seed = np.sqrt(of_seeds * case.seeds) * normal(case.seeds, 1)
    size = np.ones(items)
    if case.kind == "tokens":  # tokens of a response differ from one another: their sum does by the root of their number
        size = np.ceil(MEDIAN_LENGTH * np.exp(SPREAD_OF_LENGTHS * rng.standard_normal(items)))
    if case.kind == "accuracy":
        spread = np.sqrt((of_items + of_both * case.seeds) * items)  # of by_item
        values = _answers(by_seed / spread, by_item / spread, normal(1, items))
    else:
        values = by_seed * size + by_item * np.sqrt(size * size.mean())
    found = paired_gain(values.astype(float), size, np.repeat(np.arange(case.tasks), case.items))
    return found.gain, found.low, found.high


def _answers(by_seed: np.ndarray, by_item: np.ndarray, hardness: np.ndarray) -> np.ndarray:
    """What is right of the selection minus what is right of the control: both answer by a threshold, and half of an effect
    favours the one, half hinders the other. So an item gains -1, 0 or 1.

    Args:
        by_seed, by_item: (..., S, 1) and (..., S, I), in standard deviations of the latter.
        hardness: (..., 1, I), standard normal.
    """
    density = 1 / np.sqrt(2 * np.pi)  # a small effect changes so many answers
    differ = density * LATENT * np.sqrt(2 / np.pi)  # the share of answers that differ
    half = (LATENT * by_item + np.sqrt(differ) / density * by_seed) / 2
    gain: np.ndarray = (hardness + half > 0).astype(float) - (hardness - half > 0)
    return gain


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdict_coverage", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions; writes nothing")
    quick = parser.parse_args().quick
    repetitions = 1000 if quick else REPETITIONS
    found = {}
    for number, case in enumerate(cases()):
        found[case.name] = own = simulate(case, repetitions, number)
        print(
            f"{case.name:60} covered {own['coverage']:.2%} ± {own['coverage_error']:.2%}, "
            f"better {own['better']:.2%} ± {own['better_error']:.2%}, half width {own['reach']:.2f}",
            flush=True,
        )
    drawn: dict[str, dict[str, dict[str, float]]] = {}
    for name, (of_rows, of_items) in DRAWS.items():
        drawn[name] = {}
        for seeds in SEEDS:
            drawn[name][str(seeds)] = own = simulate_draw(seeds, of_rows, of_items, repetitions, seeds)
            print(
                f"random rows as the selection, {name}, {seeds} seeds: covered {own['coverage']:.2%}, "
                f"above 0 {own['above']:.2%}, better {own['better']:.2%}, truly so {own['better_is_true']:.2%} of them"
            )
    if not quick:
        told = summary(found, drawn)
        write_json(RESULTS, {"repetitions": REPETITIONS, "summary": told, "cases": found, "random_selections": drawn})


if __name__ == "__main__":
    main()
