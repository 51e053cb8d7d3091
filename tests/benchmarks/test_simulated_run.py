"""The simulated run of many workers: what follows from pieces of work, and what the worker sleeps."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.workers import simulated_run
from benchmarks.workers.asleep import Asleep
from benchmarks.workers.simulated_run import CLUSTERS, GROUP, Took, compared, given_out, removed, together

ROOT = Path(__file__).parents[2]
WORK = Asleep(read=0.001, tuned=0.002, tokens=10, epochs=2, players=CLUSTERS, dev_tokens=100, evaluation_tokens=500)


def test_a_piece_goes_to_the_worker_that_is_free_first() -> None:
    assert given_out([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert given_out([1.0] * 5, 2) == 3.0
    assert given_out([4.0, 1.0], 64) == 4.0, "more workers than pieces gain nothing"


def test_the_seconds_of_work_are_those_of_the_cost_model() -> None:
    assert WORK.block_seconds(100) == pytest.approx(2 * 100 * 10 * 0.001)
    assert WORK.coalition_seconds(7) == pytest.approx(2 * 2 * 7 * 10 * 0.002 + 100 * 0.001)
    assert WORK.run_seconds(7) == pytest.approx(2 * 2 * 7 * 10 * 0.002 + 500 * 0.001)


def test_coalitions_of_an_iteration_are_asked_for_together_and_the_known_ones_no_more() -> None:
    assert len(removed(0)) == CLUSTERS // GROUP + 1
    assert len(removed(1)) == CLUSTERS // GROUP - 1
    assert sum(together(WORK, removed(0), 8)) == pytest.approx(sum(together(WORK, removed(0), 1)))
    one, eight = (compared([together(WORK, removed(0), at_once)], Took(1.0, 0.1)) for at_once in (1, 8))
    assert one["pieces"] > eight["pieces"]
    assert one["planned"] < eight["planned"] < one["alone"], "those that are tuned together are one piece"


class Threads:
    """Workers that are threads."""

    def __init__(self, work: Asleep) -> None:
        self._work = work

    def each(self, method: str, arguments: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Any]]:
        with ThreadPoolExecutor(4) as pool:
            yield from enumerate(pool.map(lambda own: getattr(self._work, method)(*own), arguments))


def test_all_kinds_of_work_are_measured_beside_their_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORKERS": 4, "CLUSTERS": 40, "GROUP": 4, "AUDITED": 4, "POOL": 20_000, "SELECTED": 100}.items():
        monkeypatch.setattr(simulated_run, name, value)
    work = replace(WORK, read=1e-7, tuned=1e-7, players=40)
    found = simulated_run.measured(work, Threads(work))  # type: ignore[arg-type]
    assert set(found) == {"rate", "score_by_1", "fidelity_by_1", "score_by_8", "fidelity_by_8", "verdict"}
    assert found["rate"]["pieces"] == 10
    assert (found["score_by_1"]["pieces"], found["score_by_1"]["rounds"]) == (11 + 9 * 9, 10)
    assert (found["fidelity_by_8"]["pieces"], found["verdict"]["rounds"]) == (1, 3)
    for own in found.values():
        assert own["measured"] >= own["planned"] >= own["evenly"] > 0
        assert own["of_planned"] == pytest.approx(own["measured"] / own["planned"])


def test_a_worker_that_sleeps_needs_no_torch() -> None:
    code = "import sys, benchmarks.workers.asleep, shed.workers.ray_actor; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
