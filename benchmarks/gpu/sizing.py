"""How much of the paper's settings fits into the time: a process of its own, so that the GPU's memory is free again after it.

`python -m benchmarks.gpu.sizing SECONDS BASE RESULT`, in a proof's project of which `prepare` and `evaluate_base` have run. In:
the seconds that are left, and those that the evaluation of the untuned model took. Out: the file RESULT with the changes of
params, the seconds that each stage is planned to take, its token passes, and what the model's speed is.

`shed plan` counts no tasks of lm-eval. So what the evaluation took beyond its plan is taken as theirs, for each of the runs.
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gpu.settings import Changes, changed, cuts
from shed.cli.running.forecast import seconds_of_all
from shed.common.atomic_io import read_json, write_json
from shed.data.records import read_records
from shed.models.checks import check_model
from shed.params import Params, load_params
from shed.settings.costs.outlook import Work, lengths_of
from shed.settings.costs.times import RunsLeft, all_runs
from shed.valuation.costs.speed import Speed, measure
from stages import command
from stages.shared.settings.model import model_spec
from stages.shared.settings.regime import scoring_regime

SPLITS = ("pool", "dev", "test")
TIMED = 200  # records of which some are read to time the model
DONE = ("fetch", "prepare", "evaluate_base")


@dataclass(frozen=True)
class Planned:
    """What a proof costs.

    Attributes:
        seconds, passes: of each stage; token passes where the model is used, those of lm-eval's tasks left out.
        runs: of the verdict.
    """

    seconds: dict[str, float]
    passes: dict[str, float]
    runs: RunsLeft

    @property
    def left(self) -> float:
        """Of the stages that have not run yet."""
        return sum(own for stage, own in self.seconds.items() if stage not in DONE)

    @property
    def parts(self) -> dict[str, float]:
        """Seconds of what cuts make cheaper."""
        own, runs = self.seconds, self.runs.verdict
        of_pipeline = {name: own[name] for name in ("score", "fidelity", "rate")}
        return of_pipeline | {"tuning": own["finetune"] * (1 + runs), "evaluation": own["evaluate"] * (1 + runs)}


class Plans:
    """Plans for the project in this folder.

    Args:
        base: seconds that the evaluation of the untuned model took, with the params that are there.
    """

    def __init__(self, params: Params, base: float) -> None:
        self._splits = {split: read_records(f"data/prepared/{split}.jsonl") for split in SPLITS}
        encoder = check_model(model_spec(params))
        self._lengths = {split: lengths_of(encoder, records) for split, records in self._splits.items()}
        regime = scoring_regime(params, params.score.seed)
        self.speed: Speed = measure(model_spec(params), self._splits["pool"][:TIMED], self._splits["dev"], regime)
        self._limit, self._of_tasks = params.evaluate.limit, 0.0
        if params.evaluate.tasks:
            self._of_tasks = max(0.0, base - self.of(params).seconds["evaluate_base"])

    def of(self, params: Params) -> Planned:
        """With these params."""
        work, runs = Work(params, self._splits, self._lengths), all_runs(params)
        read = sum(own.get("in", 0) for own in read_json("metrics/data.json").values() if isinstance(own, Mapping))
        seconds = seconds_of_all(work, read, self.speed, runs)
        of_tasks = self._of_tasks * (params.evaluate.limit or 0) / (self._limit or 1)
        for stage, times in {"evaluate_base": 1, "evaluate": 1, "verdict": runs.verdict}.items():
            seconds[stage] += times * of_tasks
        passes = dict(work.passes)
        passes["evaluate_base"] = passes["evaluate"] = passes["evaluate"] / 2
        passes["verdict"] = runs.verdict * (passes["finetune"] + passes["evaluate"])
        return Planned(seconds, passes, runs)


def fitting(plans: Plans, params: Params, seconds: float) -> tuple[Changes, Planned]:
    """The fewest cuts with which the rest takes so many seconds, and what it then costs; all cuts, if it takes more."""
    own, steps, changes = params.model_dump(by_alias=True), cuts(params.C), Changes()
    while True:
        planned = plans.of(Params.model_validate(changed(own, changes)))
        cuttable = [part for part, left in steps.items() if left]
        if planned.left <= seconds or not cuttable:
            return changes, planned
        changes |= steps[max(cuttable, key=lambda part: planned.parts[part])].pop(0)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.sizing", description="How much of a proof fits into the time."
    )
    parser.add_argument("seconds", type=float, help="that are left")
    parser.add_argument("base", type=float, help="seconds that the evaluation of the untuned model took")
    parser.add_argument("result", type=Path, help="the file to write")
    asked = parser.parse_args()
    params = load_params()
    plans = Plans(params, asked.base)
    changes, planned = fitting(plans, params, asked.seconds)
    write_json(
        asked.result,
        {
            "changes": changes,
            "fits": planned.left <= asked.seconds,
            "seconds": planned.seconds,
            "passes": planned.passes,
            "speed": asdict(plans.speed),
        },
    )


if __name__ == "__main__":
    command(main)
