"""About how long the costly verbs of a `Selector` take, before they are called.

In: an `Inputs`. Out: a `PlanResult`. The sum is that of `shed plan`, with a speed that is measured here.
"""

from collections.abc import Mapping
from statistics import median

import pandas as pd

from shed.library.inputs import SPLITS, Inputs
from shed.library.results import PlanResult
from shed.settings.costs.outlook import Work, lengths_of
from shed.settings.costs.times import CONTROLS, RunsLeft, seconds_of
from shed.settings.regime import scoring_regime
from shed.valuation.costs.speed import measure


def plan(inputs: Inputs, computed: Mapping[str, bool]) -> PlanResult:
    """Of rating, scoring and the verdict.

    Args:
        computed: whether a verb was called before.
    """
    settings = inputs.settings
    splits = {split: getattr(inputs.prepared, split) for split in SPLITS}
    speed = measure(inputs.model, splits["pool"], splits["dev"], scoring_regime(settings.regime, settings.score.seed))
    work = Work(settings, splits, {split: lengths_of(inputs.encoder, own) for split, own in splits.items()})
    seeds = 0 if settings.sampler == "full" else settings.verdict.seeds
    seconds = seconds_of(work, speed, RunsLeft(seeds * (1 + CONTROLS), seeds * settings.verdict.full))
    verbs = ("rate", "score", *(["verdict"] if seeds else []))
    rows = [(verb, seconds[verb], computed.get(verb, False)) for verb in verbs]
    metrics = {"read_ms": 1000 * median(speed.forward), "tuned_ms": 1000 * median(speed.tuned), "spread": speed.spread}
    return PlanResult(pd.DataFrame(rows, columns=["verb", "seconds", "computed"]), metrics)
