"""Params that suit a pool's size and this machine.

In: where the pool is, and how many cores or GPUs there are. Out: what it holds, and the params that follow, each
with its reason.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from shed.cli.making.tokens import CHARACTERS_A_TOKEN, FRAME, counter
from shed.cli.terminal import counted
from shed.common.errors import ShedError
from shed.data.files import data_files, is_dataset
from shed.data.readers import BadRecord, ReaderSettings, Reading
from shed.data.recipes import is_recipe
from shed.data.splits import read_split
from shed.data.splitting.split_off import MOST, SHARE

LOOKED_AT = 2_000  # rows
COUNTED = 200  # rows whose tokens are counted; of the others, by their characters
RATED_TOKENS = (
    175_000  # for each core; on two that did other work, too, the packaged model rated a third of this in ten minutes
)
MOST_CLUSTERS, ROWS_A_CLUSTER = 32, 20
MOST_WARM, WARM_SHARE = 100, 0.2
LEAST_SELECTED = 16  # rows: two batches of the final tuning
FRACTION, MOST_FRACTION = 0.1, 0.5
TRIAL_TOKENS = 5_000  # rated for each core in a trial: a thirtieth of half an hour
LEAST_TRIAL, MOST_TRIAL = 80, 400  # rows
TRIAL_MEASURED = 40  # records of dev, and of test
TRIAL_CLUSTERS = 8


@dataclass(frozen=True)
class Look:
    """What a split holds, by its first rows.

    Attributes:
        rows: how many; about, unless they are `exact`. None where nothing says.
        tokens, response_tokens: of a record as it is tuned on, and of its response, about.
        forms: the records that were read, by form.
        unreadable: how many of the rows looked at could not be read, and the first reason.
    """

    rows: int | None
    exact: bool
    tokens: float
    response_tokens: float
    forms: Mapping[str, int]
    unreadable: int
    reason: str | None


def look(
    where: str, settings: ReaderSettings, split: str = "pool", count: Callable[[str], float] | None = None, form: str = "plain"
) -> Look:
    """Read the first rows of a split.

    Args:
        count: counts the tokens of a text.
        form: the prompt form, which adds some.

    Raises:
        ShedError: nothing is there, or what is there holds no rows.
    """
    reading, kept, bad = Reading(), 0, []
    characters, responses, tokens = _Counts(), _Counts(), count or counter()
    for row in islice(read_split(where, settings, reading, split=split), LOOKED_AT):
        if isinstance(row, BadRecord):
            bad.append(row)
        else:
            kept += 1
            for turn in row.messages:
                for own in (characters, responses) if turn.trained else (characters,):
                    own.add(turn.text, tokens if kept <= COUNTED else None)
    seen = kept + len(bad)
    exact = seen < LOOKED_AT
    rows = seen if exact else _about(where, characters.all / max(1, kept), seen)
    whole, response = (own.tokens_of_all / max(1, kept) for own in (characters, responses))
    return Look(rows, exact, whole + FRAME[form], response, dict(reading.forms), len(bad), bad[0].reason if bad else None)


@dataclass
class _Counts:
    """Characters of texts, and tokens of some of them."""

    all: int = 0
    counted: int = 0
    tokens: float = 0.0

    def add(self, text: str, count: Callable[[str], float] | None) -> None:
        self.all += len(text)
        if count is not None:
            self.counted, self.tokens = self.counted + len(text), self.tokens + count(text)

    @property
    def tokens_of_all(self) -> float:
        """About; in proportion to the characters."""
        return self.all * self.tokens / max(1, self.counted)


def suited(pool: Look, split_off: int = 0, cores: int | None = None) -> dict[str, tuple[Any, str]]:
    """The params that depend on a pool, by their dotted names, each with why.

    Args:
        split_off: how many splits it gives a part of itself to.
    """
    from shed.settings.selecting import LONG_RESPONSE  # loads pandas

    cores = cores or os.cpu_count() or 1
    rated = max(ROWS_A_CLUSTER * 2, round(RATED_TOKENS * cores / max(1.0, pool.tokens)))
    there = None if pool.rows is None else pool.rows - split_off * min(MOST, pool.rows // SHARE)
    if there is None or there > rated:
        of = "a pool of unknown size" if there is None else f"{'' if pool.exact else 'about '}{counted(there, 'row')}"
        rows: int | None = rated
        why = (
            f"of {of}, about as many can be rated on {cores} cores in half an hour; other stages come on top, and `shed plan` "
            "tells; null takes all"
        )
    else:
        rows, why = None, "all rows can be rated in reasonable time"
    drawn = rows or there or rated
    clusters = max(2, min(MOST_CLUSTERS, drawn // ROWS_A_CLUSTER))
    warm = max(1, min(MOST_WARM, round(drawn * WARM_SHARE)))
    fraction = min(MOST_FRACTION, max(FRACTION, round(LEAST_SELECTED / drawn, 2)))
    found: dict[str, tuple[Any, str]] = {
        "data.pool_rows": (rows, why),
        "C": (clusters, f"clusters of about {counted(drawn // clusters, 'row')}"),
        "rate.warm_rows": (warm, "random rows that a model is tuned on before the others are rated"),
        "sample.fraction": (fraction, f"about {counted(round(fraction * drawn), 'row is', 'rows are')} selected"),
    }
    if pool.response_tokens >= LONG_RESPONSE:
        why = "of responses as long as these, ratings of whole records select the longest"
        found |= {"sample.budget": ("tokens", why), "rate.per": ("token", why)}
        found["sample.fraction"] = (fraction, "of the pool's response tokens")
    return found


def trial(pool: Look | None, given: Collection[str], cores: int | None = None) -> dict[str, tuple[Any, str]]:
    """The params of a run that shows within minutes what a result looks like, each with why. Its numbers say little.

    Args:
        pool: what it holds; None for the packaged one.
        given: which of dev and test are there; the others are split off the pool.
    """
    cores = cores or os.cpu_count() or 1
    there, tokens = (None, CHARACTERS_A_TOKEN * 10.0) if pool is None else (pool.rows, pool.tokens)
    rows = max(LEAST_TRIAL, min(MOST_TRIAL, round(TRIAL_TOKENS * cores / max(1.0, tokens))))
    drawn = rows if there is None else min(rows, there - (2 - len(given)) * min(TRIAL_MEASURED, there // SHARE))
    small = (rows, "a trial: few rows are rated") if drawn == rows else (None, "a trial of all rows, which are few")
    found: dict[str, tuple[Any, str]] = {
        "data.pool_rows": small,
        "C": (max(2, min(TRIAL_CLUSTERS, drawn // ROWS_A_CLUSTER)), "few clusters are scored"),
        "rate.warm_rows": (
            max(1, round(drawn * WARM_SHARE)),
            "random rows that a model is tuned on before the others are rated",
        ),
        "sample.fraction": (
            min(MOST_FRACTION, max(FRACTION, round(LEAST_SELECTED / max(1, drawn), 2))),
            f"about {LEAST_SELECTED} rows are selected",
        ),
    }
    for split in ("dev", "test"):
        if split in given or there is None or there // SHARE > TRIAL_MEASURED:
            found[f"data.{split}_rows"] = (TRIAL_MEASURED, "few records are measured on, so that intervals are wide")
    return found | {
        "rate.dev_rows": (TRIAL_MEASURED // 2, "ratings go by few records"),
        "score.dev_rows": (TRIAL_MEASURED // 2, "so do scores"),
        "score.budget.fte": (6.5, "the first estimate alone, which costs six"),
        "fidelity.coalitions": (4, "the fewest for an audit of the scores"),
        "fidelity.target_coalitions": (None, "no audit in the final tuning's regime"),
        "evaluate.limit": (TRIAL_MEASURED // 2, "questions of each task"),
        "evaluate.written.limit": (0, "no answers are written, since writing is slow"),
    }


def _about(where: str, characters: float, seen: int) -> int | None:
    """Rows by the files' bytes; None of what is not made of text files."""
    if is_recipe(where) or is_dataset(where):
        return None
    try:
        paths = data_files(where)
    except ShedError:
        return None
    texts = {".json", ".jsonl", ".ndjson", ".csv", ".tsv"}
    if any(Path(path).suffix not in texts for path in paths):
        return None
    return max(seen, round(sum(Path(path).stat().st_size for path in paths) / max(1.0, characters)))
