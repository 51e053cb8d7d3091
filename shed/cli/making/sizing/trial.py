"""Params of a run that shows within minutes what comes out; its numbers say little.

In: what the pool holds. Out: params, each with its reason.
"""

import os
from collections.abc import Collection

from shed.cli.making.sizing.look import Look
from shed.cli.making.sizing.suited import (
    FEWEST_CLUSTERS,
    FRACTION,
    LEAST_SELECTED,
    MOST_FRACTION,
    ROWS_A_CLUSTER,
    WARM_SHARE,
    Values,
)
from shed.cli.making.sizing.tokens import CHARACTERS_A_TOKEN
from shed.data.splitting.split_off import SHARE

TRIAL_TOKENS = 5_000  # rated for each core: about a minute's work of the packaged model
LEAST_TRIAL, MOST_TRIAL = 80, 400  # rows
TRIAL_MEASURED = 40  # records of dev, and of test
TRIAL_CLUSTERS = 8


def trial(pool: Look | None, given: Collection[str], cores: int | None = None) -> Values:
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
    found: Values = {
        "data.pool_rows": small,
        "C": (max(FEWEST_CLUSTERS, min(TRIAL_CLUSTERS, drawn // ROWS_A_CLUSTER)), "few clusters are scored"),
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
