"""The costs of a plan: the records that there are or will be, the model's speed, and what is paid for already.

In: what would run. Out: a `Cost` for each stage, and what they rest on. In the project's folder.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from shed.cli.making.survey import Sample
from shed.cli.running.changes import Changed
from shed.cli.running.forecast import COSTLY, OFF, Cost, forecast
from shed.cli.running.known_runs import known_runs
from shed.common.atomic_io import read_json
from shed.common.errors import ShedError
from shed.data.readers import Reading
from shed.data.records import Record, read_records
from shed.data.splits import read_split
from shed.data.splitting.split_off import MOST, SHARE
from shed.models.checks import check_model
from shed.models.specs import ModelSpec
from shed.params import Params
from shed.settings.costs.outlook import Work, lengths_of
from shed.settings.reading import reader_settings
from shed.valuation.costs.speed import REPEATS, Speed, measure
from stages.shared.early_checks import check_score_budget
from stages.shared.paths import located
from stages.shared.settings.regime import scoring_regime

SPLITS = ("pool", "dev", "test")
SAMPLED = (
    "The records are not prepared with these params yet: counted are rows of data.pool, data.dev and data.test, drawn at "
    "random, of which none is set aside."
)


@dataclass(frozen=True)
class Estimate:
    """What a plan costs.

    Attributes:
        of: for each stage that is known.
        about: what it rests on, as JSON has it.
    """

    of: dict[str, Cost]
    about: dict[str, Any]


def estimate(changed: Changed, tell: Callable[[str], None]) -> Estimate:
    """Of the stages that run or may run.

    Args:
        tell: takes a line before each step that takes seconds.

    Raises:
        ShedError: the model or the data cannot be read, or scoring's budget does not cover its first estimate.
    """
    params, wanted = changed.params, [name for name, runs in changed.runs.items() if runs != "no"]
    anew = "prepare" in wanted or not all(Path(f"data/prepared/{split}.jsonl").is_file() for split in SPLITS)
    tell("reading rows ..." if anew else "reading the prepared records ...")
    splits, rows_read = _drawn(params) if anew else _prepared()
    spec = _spec(params)
    encoder = check_model(spec)
    work = Work(params, splits, {split: lengths_of(encoder, own) for split, own in splits.items()})
    warning = _of_budget(work) if "score" in wanted else None
    timed = [name for name in wanted if name in COSTLY]
    speed = None
    if timed:
        tell("timing the model ...")
        speed = measure(spec, splits["pool"], splits["dev"], scoring_regime(params, params.score.seed))
    selects = "sample" in wanted or not Path("data/selection.parquet").is_file()
    fits_change = "quality" in wanted and params.sample.exclude.prompt_fit is not None
    runs = known_runs(params, pool_changes=anew or fits_change, selection_changes=selects)
    about: dict[str, Any] = {"notes": [SAMPLED] if anew else [], "warnings": [warning] if warning else []}
    if speed is not None:
        about["timed"] = _told(speed)
    if "verdict" in wanted and runs.asked:
        about["verdict_runs"] = {
            "asked": runs.asked,
            "there": runs.there,
            "selection_known": not selects,
            "final_is_one": params.finetune.seed in range(1, params.verdict.seeds + 1),
        }
    about["at_most"] = "score" in wanted
    return Estimate(forecast(work, rows_read, speed, runs, wanted), about)


def _of_budget(work: Work) -> str | None:
    """A warning where the budget of scoring is likely not to cover its first estimate."""
    dev = work.splits["dev"][: work.params.score.dev_rows]
    warning = check_score_budget(work.params, work.lengths["pool"].tuned, len(dev) * work.lengths["dev"].tuned)
    return warning and f"{warning} (score.budget in params.yaml)"


def _told(speed: Speed) -> dict[str, float]:
    return {
        "read_ms": 1000 * median(speed.forward),
        "tuned_ms": 1000 * median(speed.tuned),
        "times": REPEATS,
        "spread": speed.spread,
        "off": OFF,
        "gpu_memory": speed.gpu_memory,
    }


def _prepared() -> tuple[dict[str, list[Record]], int]:
    """The splits, and how many rows were read for them."""
    card = read_json("metrics/data.json")
    return {split: read_records(f"data/prepared/{split}.jsonl") for split in SPLITS}, sum(
        card[split].get("in", 0) for split in SPLITS
    )


def _drawn(params: Params) -> tuple[Mapping[str, Sequence[Record]], int]:
    """As many as a split will have at most, drawn at random, and how many rows there are."""
    data, read = params.data, 0
    found: dict[str, list[Record]] = {}
    for split in SPLITS:
        where, most = getattr(data, split), getattr(data, f"{split}_rows")
        if where is None:  # it is split off the pool
            share = most or min(MOST, len(found["pool"]) // SHARE)
            found[split], found["pool"] = found["pool"][:share], found["pool"][share:]
            continue
        if split == "pool" and most is not None:
            most += sum(getattr(data, f"{other}_rows") or MOST for other in SPLITS if getattr(data, other) is None)
        rng = Random(data.seed)
        sample = Sample(sys.maxsize if most is None else most, rng)
        for row in read_split(where, reader_settings(data.reading), Reading(), located, split):
            read += 1
            if isinstance(row, Record):
                sample.offer(read, row)
        found[split] = [row for _, row in sample.held if isinstance(row, Record)]
        rng.shuffle(found[split])
    found["pool"] = found["pool"][: data.pool_rows]
    if lacking := [split for split, own in found.items() if not own]:
        raise ShedError(f"there are no records for {', '.join(lacking)}; see data.pool, data.dev and data.test in params.yaml")
    return found, read


def _spec(params: Params) -> ModelSpec:
    """The model, at the revision that `fetch` has found or will find."""
    known = read_json("data/model.json") if Path("data/model.json").is_file() else {}
    revision, folder = known.get("revision") if known.get("name") == params.model.name else None, located(params.model.name)
    own = params.model
    return ModelSpec(own.name, own.prompt, own.max_tokens, revision, None if folder == own.name else folder)
