"""Params that suit a pool and this machine: sizes with which the first selected rows are there in time, and a verdict, too.

In: what the splits hold, how fast the model is, and how long it may take. Out: the params that follow, each with its reason,
and what the project then costs.

Where all rows take too long, first what selects nothing with the sampler `top` is made cheaper, then a part of the pool is
rated, then a part of it is drawn at all; and of what the verdict rests on, the selected rows are made fewer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shed.cli.making.sizing.costs import Costs
from shed.cli.making.sizing.look import Look
from shed.cli.terminal import counted

MINUTES = 30.0  # to the first selected rows, unless the caller says otherwise
WHOLE = 4  # times as long may all stages take
MARGIN = 1.25  # by which stages may take longer than they are planned
SCORE_SHARE = 0.25  # of the time to the first rows may scoring take, which selects nothing with the sampler `top`
FEWEST_CLUSTERS, MOST_CLUSTERS, ROWS_A_CLUSTER = 4, 32, 20  # with four clusters, scores can be audited
MOST_WARM, WARM_SHARE = 100, 0.2
LEAST_SELECTED = 16  # rows: two batches of the final tuning
FRACTION, MOST_FRACTION, LEAST_FRACTION = 0.1, 0.5, 0.02
SCREENS, LEAST_SCREENED = (0.5, 0.4), 500  # below two fifths a screen is no better than nearness; rows that it rates at least
LEAST_POOL = 2 * ROWS_A_CLUSTER
Values = dict[str, tuple[Any, str]]

Steps = tuple[tuple[dict[str, Any], str], ...]
CHEAPER_SCORES: Steps = (  # with the reason; each on top of those before
    ({"score.budget.fte": 6.5}, "the first estimate alone, which costs six; with the sampler top no row is selected by scores"),
    ({"C": 16}, "fewer clusters are scored; with the sampler top no row is selected by scores"),
    ({"C": 8}, "few clusters are scored; with the sampler top no row is selected by scores"),
    ({"score.dev_rows": 24}, "scores go by few records; with the sampler top no row is selected by scores"),
)
CHEAPER_AUDITS: Steps = (
    ({"fidelity.target_coalitions": None}, "no audit of scores in the final tuning's regime, which takes no part in selection"),
    ({"fidelity.coalitions": 4}, "the fewest for an audit of the scores"),
)
CHEAPER_MEASURES: Steps = (
    ({"evaluate.limit": 40}, "questions of each task, so that intervals are wider"),
    ({"evaluate.written.limit": 0}, "no answers are written, since writing is slow"),
)


@dataclass(frozen=True)
class Sizes:
    """The sized params, and seconds to the first selected rows and of all stages."""

    values: Values
    first: float
    whole: float


def suited(costs: Costs, minutes: float = MINUTES) -> Sizes:
    """The params that depend on pool and machine.

    Args:
        minutes: about, to the first selected rows at most.
    """
    pool, first_aim, whole_aim = costs.looks["pool"], 60 * minutes / MARGIN, 60 * minutes * WHOLE / MARGIN
    by_length = _by_length(pool)
    values = _of_rows(costs, by_length, costs.there, None, "all rows can be rated in reasonable time")

    def first() -> float:
        return costs.first(_plain(values))

    def whole() -> float:
        return sum(costs.seconds(_plain(values)).values())

    if first() > first_aim or whole() > whole_aim:
        for changes, why in CHEAPER_SCORES:
            if costs.seconds(_plain(values))["score"] <= SCORE_SHARE * first_aim:
                break
            values |= {key: (value, why) for key, value in changes.items() if not _is_less(values, key, value)}
    if first() > first_aim:
        kept = {key: own for key, own in values.items() if any(key in changes for changes, _ in CHEAPER_SCORES)}
        values = _within(costs, by_length, kept, first_aim, minutes)
    for changes, why in CHEAPER_AUDITS:
        if whole() > whole_aim:
            values |= {key: (value, why) for key, value in changes.items()}
    if whole() > whole_aim:
        values |= _fewer_selected(costs, values, whole_aim, LEAST_FRACTION * 2)
    for changes, why in CHEAPER_MEASURES:
        if whole() > whole_aim:
            values |= {key: (value, why) for key, value in changes.items()}
    if whole() > whole_aim:
        values |= _fewer_selected(costs, values, whole_aim, LEAST_FRACTION)
    return sized_so(costs, values)


def sized_so(costs: Costs, values: Values) -> Sizes:
    """What the project costs with these values."""
    changes = _plain(values)
    return Sizes(values, costs.first(changes), sum(costs.seconds(changes).values()))


def _plain(values: Values) -> dict[str, Any]:
    return {key: value for key, (value, _) in values.items()}


def _is_less(values: Values, key: str, value: Any) -> bool:
    """Whether a value is as small already."""
    return key in values and values[key][0] is not None and bool(values[key][0] <= value)


def _by_length(pool: Look) -> Values:
    """What follows from the length of responses."""
    from shed.settings.selecting import LONG_RESPONSE  # loads pandas

    if pool.response_tokens < LONG_RESPONSE:
        return {}
    why = "of responses as long as these, ratings of whole records select the longest"
    return {"sample.budget": ("tokens", why), "rate.per": ("token", why)}


def _of_rows(costs: Costs, by_length: Values, drawn: int, screen: float | None, why: str) -> Values:
    """What follows from how many rows are drawn, and which share of them is rated."""
    clusters = max(FEWEST_CLUSTERS, min(MOST_CLUSTERS, drawn // ROWS_A_CLUSTER))
    warm = max(1, min(MOST_WARM, round(drawn * WARM_SHARE)))
    fraction = min(MOST_FRACTION, max(FRACTION, round(LEAST_SELECTED / drawn, 2)))
    tokens = "sample.budget" in by_length
    selected = "of the pool's response tokens" if tokens else _selected(fraction, drawn)
    found: Values = {
        "data.pool_rows": (None if drawn >= costs.there else drawn, why),
        "C": (clusters, f"clusters of about {counted(drawn // clusters, 'row')}"),
        "rate.warm_rows": (warm, "random rows that a model is tuned on before the others are rated"),
        "sample.fraction": (fraction, selected),
    }
    if screen is not None:
        told = (
            f"{counted(round(screen * drawn), 'row is', 'rows are')} rated: a third of them at random, and the most promising"
        )
        found["rate.screen"] = (screen, f"{told}; null rates all")
    return found | by_length


def _selected(fraction: float, drawn: int) -> str:
    return f"about {counted(round(fraction * drawn), 'row is', 'rows are')} selected"


def _within(costs: Costs, by_length: Values, kept: Values, aim: float, minutes: float) -> Values:
    """The largest part of the pool with which the first rows are there in time."""
    pool, there = costs.looks["pool"], costs.there

    def values(drawn: int, screen: float | None, why: str) -> Values:
        own = _of_rows(costs, by_length, drawn, screen, why)
        return own | {key: one for key, one in kept.items() if key != "C" or one[0] < own["C"][0]}

    def fits(drawn: int, screen: float | None) -> bool:
        return costs.first(_plain(values(drawn, screen, ""))) <= aim

    for screen in SCREENS:
        if screen * there >= LEAST_SCREENED and fits(there, screen):
            return values(there, screen, "all rows are drawn, and a part of them is rated")
    of = "a pool of unknown size" if pool.rows is None else f"{'' if pool.exact else 'about '}{counted(there, 'row')}"
    why = f"of {of}, about as many as can be looked at for the first selected rows in {minutes:g} minutes; null takes all"
    with_screen = _most(there, lambda drawn: fits(drawn, SCREENS[-1]))
    if SCREENS[-1] * with_screen >= LEAST_SCREENED:
        return values(with_screen, SCREENS[-1], why)
    return values(_most(there, lambda drawn: fits(drawn, None)), None, why)


def _most(there: int, fits: Callable[[int], bool]) -> int:
    """The largest number of rows, of two digits, that fits."""
    sizes = [size for size in _round_numbers() if LEAST_POOL <= size < there] or [min(there, LEAST_POOL)]
    low, high = 0, len(sizes)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(sizes[middle]) else (low, middle)
    return sizes[low]


def _round_numbers() -> Iterator[int]:
    """10, 11, … 99, 100, 110, … of two digits each."""
    for power in range(10):
        yield from (digits * 10**power for digits in range(10, 100))


def _fewer_selected(costs: Costs, values: Values, aim: float, least: float) -> Values:
    """The largest fraction with which all stages are done in time, or the least."""
    fraction, drawn = values["sample.fraction"][0], values["data.pool_rows"][0] or costs.there
    least = min(fraction, max(least, round(LEAST_SELECTED / drawn, 2)))
    steps = [round(fraction - n / 100, 2) for n in range(1, 50) if round(fraction - n / 100, 2) >= least]
    changes = _plain(values)
    for step in steps:
        if sum(costs.seconds(changes | {"sample.fraction": step}).values()) <= aim:
            least = step
            break
    tokens = values.get("sample.budget", ("rows", ""))[0] == "tokens"
    what = "of the pool's response tokens" if tokens else _selected(least, drawn)
    return {"sample.fraction": (least, f"{what}; the verdict tunes on as many nine times")}
