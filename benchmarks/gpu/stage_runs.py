"""The stages of a proof's project, run one at a time by DVC, with what each took.

In: a project's folder, and a file of what was measured before. Out: that file, with an entry for each attempt at a stage. A
stage that is up to date is not run, and adds nothing, so that a proof that was stopped goes on.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shed.cli.running.process import Dvc
from shed.common.atomic_io import read_json, write_json

HOOK = Path(__file__).parent / "hook"
TO = "SHED_PROOF_MEASURES"


@dataclass(frozen=True)
class Attempt:
    """One run of a stage.

    Attributes:
        finished: whether it came to its end.
        seconds: of the stage's process; of one that was killed, of DVC's.
        peak_bytes: of the process; None of one that was killed.
        gpu_bytes: the most that torch has allocated on the GPU; None without one.
        gpu_reserved_bytes: the most that it has held there.
    """

    stage: str
    finished: bool
    seconds: float
    peak_bytes: int | None
    gpu_bytes: int | None
    gpu_reserved_bytes: int | None


@dataclass(frozen=True)
class Taken:
    """What a stage took in all, since it was last begun: the attempts that were stopped, and the one that finished.

    Attributes:
        attempts: how many there were.
        whole: whether all of them could be measured.
    """

    seconds: float
    attempts: int
    whole: bool
    peak_bytes: int | None
    gpu_bytes: int | None
    gpu_reserved_bytes: int | None


class Stages:
    """The stages of a project, and the attempts at them.

    Args:
        kept: the file of attempts.
    """

    def __init__(self, project: Path, kept: Path) -> None:
        self._project, self._kept = project, kept
        found: list[dict[str, Any]] = read_json(kept) if kept.is_file() else []
        self.attempts = [Attempt(**one) for one in found]

    def run(self, stage: str) -> None:
        """Bring a stage up to date, if those before it are.

        Raises:
            SystemExit: it has failed, or this process was asked to end, which the stage then has been, too.
        """
        told = self._kept.with_name("stage.json")
        told.unlink(missing_ok=True)
        paths = [str(HOOK), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        os.environ |= {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), TO: str(told.resolve())}
        began = time.monotonic()
        dvc = Dvc(["repro", "--single-item", stage], self._project, own_terminal=False)
        with dvc.interruptible():
            status = dvc.wait()
        seconds = time.monotonic() - began
        if told.is_file():
            found = read_json(told)
            told.unlink()
            gpu = found["gpu"] or {}
            memory = (found["peak_bytes"], gpu.get("allocated_bytes"), gpu.get("reserved_bytes"))
            self._keep(Attempt(stage, status == 0, found["seconds"], *memory))
        elif status:
            self._keep(Attempt(stage, False, seconds, None, None, None))
        if dvc.interrupted:
            sys.exit("the proof was interrupted; the same command goes on from there")
        if status:
            sys.exit(f"the stage {stage} has failed, for the reason above; mend it, and the same command goes on from there")

    def taken(self) -> dict[str, Taken]:
        """For each stage that has finished, what it took when it last ran."""
        return {name: self._taken([one for one in self.attempts if one.stage == name]) for name in self._finished()}

    def _finished(self) -> Sequence[str]:
        return list(dict.fromkeys(one.stage for one in self.attempts if one.finished))

    def _taken(self, own: list[Attempt]) -> Taken:
        ends = [at for at, one in enumerate(own) if one.finished]
        last = own[(ends[-2] + 1 if len(ends) > 1 else 0) : ends[-1] + 1]

        def most(name: str) -> int | None:
            return max((found for one in last if (found := getattr(one, name)) is not None), default=None)

        peaks = {name: most(name) for name in ("peak_bytes", "gpu_bytes", "gpu_reserved_bytes")}
        whole = all(one.peak_bytes is not None for one in last)
        return Taken(sum(one.seconds for one in last), len(last), whole, **peaks)

    def _keep(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        write_json(self._kept, [asdict(one) for one in self.attempts])
