"""About how long the stages take that use the model, told before any of them begins.

In: params, and the prepared records. Out: a line.
"""

from collections.abc import Mapping

from shed.data.records import RecordFile
from shed.models.encoding import Encoder
from shed.params import Params
from shed.settings.costs.outlook import Work, lengths_of
from shed.settings.costs.times import all_runs, seconds_of
from shed.valuation.costs.speed import measure
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # it is told, not written; see `shed.common.import_closure`
MOST_TIMED = 200  # records of which some are read to time the model
UNITS = ((24 * 60, "days"), (60, "hours"), (1, "minutes"))


def times_told(params: Params, encoder: Encoder) -> str:
    """How long the stages take here for the prepared records, in one line, by a short measurement."""
    splits = {split: RecordFile(f"data/prepared/{split}.jsonl") for split in ("pool", "dev", "test")}
    some = splits["pool"][:MOST_TIMED]
    speed = measure(model_spec(params), some, splits["dev"], scoring_regime(params, params.score.seed))
    work = Work(params, splits, {split: lengths_of(encoder, records) for split, records in splits.items()})
    return told(seconds_of(work, speed, all_runs(params)))


def told(seconds: Mapping[str, float]) -> str:
    """The time that each stage takes, in one line."""
    parts = ", ".join(f"{stage} {_rounded(own / 60)}" for stage, own in seconds.items())
    return f"on this machine the stages take about: {parts}; {_rounded(sum(seconds.values()) / 60)} in all"


def _rounded(minutes: float) -> str:
    if minutes < 1.5:
        return "a minute"
    return next(f"{minutes / size:.0f} {unit}" for size, unit in UNITS if minutes >= 2 * size or size == 1)
