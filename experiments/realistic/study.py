"""The study: signals, selections and runs of the whole plan, or of the part that is asked for; one that was stopped goes on.

In: `python -m experiments.realistic.study WHERE`, a folder with the files of `sources.FILES` or a recipe such as hub.yaml.
Out: in the folder of results the items of each run, signals, results.json and gains.csv; printed is the table of dev. What it
will take is told before it starts, and again after each run.

A selection from elsewhere, such as LESS's or bergson's, is given as NAME=FILE among the methods, for a single dev set.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.realistic.plan import METHODS, SHARES, Cell, cells
from experiments.realistic.results import keep_plan, write_results
from experiments.realistic.runs import Runs
from experiments.realistic.selecting import Selections, files_of
from experiments.realistic.setup import Setup
from experiments.realistic.signals import Signals
from experiments.realistic.splits import DEV_SETS, Sizes
from experiments.realistic.table import told
from shed.common.errors import ShedError
from stages import FINAL_TUNING, command, naming_keys

HOME = Path("experiments/realistic")
SCRATCH = Path(".shed/realistic")
PASSES = {"rating": 2.0, "in_run": 2.0, "rds": 2.0, "rds_round_robin": 2.0, "ifd": 2.0}  # of the pool's tokens, about


def main() -> None:
    asked = _parser().parse_args()
    methods, files = files_of(asked.methods)
    if files and len(asked.dev) > 1:
        raise ShedError(f"{next(iter(files))}: a selection from a file is for one dev set; name that with --dev")
    plan = cells(asked.dev, methods, asked.shares, range(1, asked.seeds + 1))
    sizes = Sizes(asked.pool_rows, asked.rated, asked.items, asked.questions)
    results: Path = asked.results or HOME / f"rows-{asked.pool_rows}"
    setup = Setup.of(asked.where, sizes, asked.params)
    scratch: Path = asked.scratch / setup.key
    scratch.mkdir(parents=True, exist_ok=True)
    setup.check(results)
    _tell(f"pool {setup.splits.counts()['pool']}; {setup.described()['pool_tokens_mean']:.0f} tokens a row")
    signals = Signals(setup, results, scratch)
    selections = Selections(setup, signals, files)
    selections.check(plan)
    keep_plan(results, plan)
    study = Study(setup, Runs(setup, results, scratch), signals, selections)
    with naming_keys(FINAL_TUNING):
        study.make(plan, asked.hours)
    print("\n".join(told(write_results(results), "dev")))


class Study:
    """What makes the runs of a plan."""

    def __init__(self, setup: Setup, runs: Runs, signals: Signals, selections: Selections) -> None:
        self._setup, self._runs, self._signals, self._selections = setup, runs, signals, selections

    def make(self, plan: Sequence[Cell], hours: float | None) -> None:
        """Make the missing runs in their order, until all are there or none is to be begun any more.

        Args:
            hours: of the clock, after which no further run begins; None: all are made.
        """
        began = time.time()
        self._runs.untuned()
        self._tell_left(plan)
        for cell in plan:
            if self._runs.has(cell):
                continue
            if hours is not None and time.time() - began > hours * 3600:
                _tell(f"{hours:g} hours are over; the rest of the plan is for another time")
                return
            at = time.time()
            self._runs.make(cell, self._selections.rows(cell))
            _tell(f"{cell.name}: {(time.time() - at) / 60:.1f} minutes")
            self._tell_left(plan)

    def _tell_left(self, plan: Sequence[Cell]) -> None:
        left = [cell for cell in plan if not self._runs.has(cell)]
        hours, of_signals = self._runs.hours(left), self._hours_of_signals(left)
        _tell(
            f"{len(left)} of {len(plan)} runs are left: about {hours:.1f} processor hours, and {of_signals:.1f} for signals; "
            "divide by the cores that are free"
        )

    def _hours_of_signals(self, left: Sequence[Cell]) -> float:
        needed = {(cell.dev, self._selections.needs(cell)) for cell in left}
        lacking = [name for dev, name in needed if name is not None and not self._signals.knows(dev, name)]
        a_token = self._runs.evaluating / self._setup.measured_tokens
        passes = sum(PASSES.get(name, 0.0) for name in lacking)
        return float(passes * self._setup.lengths["tokens"].sum() * a_token / 3600)


def _tell(line: str) -> None:
    print(f"shed: {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.realistic.study",
        description="Compare selections of real instruction data with random rows, for three dev sets.",
    )
    parser.add_argument("where", metavar="WHERE", help="a folder with the files of the study, or a recipe")
    parser.add_argument(
        "--dev", nargs="+", default=list(DEV_SETS), metavar="SET", help=f"of {', '.join(DEV_SETS)} (default: all)"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(METHODS),
        metavar="METHOD | NAME=FILE",
        help=f"in the order in which they are made (default: {' '.join(METHODS)})",
    )
    parser.add_argument(
        "--shares", nargs="+", type=float, default=list(SHARES), metavar="SHARE", help="(default: 0.1 0.05 0.3)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many; intervals need three (default: %(default)s)")
    parser.add_argument("--pool-rows", type=int, default=3000, help="(default: %(default)s)")
    parser.add_argument("--rated", type=int, default=60, help="dev rows that a selection goes by (default: %(default)s)")
    parser.add_argument("--items", type=int, default=30, help="rows of each source that are measured (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=100, help="that answers are written to (default: %(default)s)")
    parser.add_argument("--hours", type=float, help="begin no run after so many (default: make all)")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help=f"(default: {HOME}/rows-N, of a pool of N rows)")
    parser.add_argument(
        "--scratch", type=Path, default=SCRATCH, metavar="FOLDER", help="for what goes on (default: %(default)s)"
    )
    parser.add_argument("--params", type=Path, metavar="FILE", help="settings, the model's too (default: a new project's)")
    return parser


if __name__ == "__main__":
    command(main)
