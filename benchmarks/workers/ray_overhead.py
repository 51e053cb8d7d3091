"""What giving coalitions out by Ray costs: games that sleep or compute, through the engine and a ledger.

In: nothing. Out: benchmarks/ray_overhead.json: the overhead on evaluations of a second, against one process; what two
workers gain over one, where evaluations sleep and where each computes with one thread; the seconds that evaluations take that
do nothing; and of starting workers. Run it by `python -m benchmarks.workers.ray_overhead` on a machine of two cores or more
that does nothing else; it needs the extra `ray` and takes three minutes. Nodes are processes of this machine, so that the
network of a real cluster is not in it.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.workers.asleep import EqualPlayers, GivenOut
from shed.common.atomic_io import write_json
from shed.engine.coalition_trainer import COALITIONS_AT_ONCE
from shed.valuation.game import Evaluation, Run
from shed.valuation.ledger import Ledger, NamedGame
from shed.workers.contract import Workers
from shed.workers.ray_engine import RayEngine

PLAYERS, SECOND, EVALUATIONS, NO_OPS = 20, 1.0, 20, 10_000
SIDE, PRODUCTS = 1024, 30  # of the matrices that are multiplied, and how often: about a second of one core


class Sleeping(EqualPlayers):
    """A game whose evaluation sleeps; in this process, and what a worker holds."""

    def __init__(self, seconds: float, at_once: int) -> None:
        super().__init__(PLAYERS, at_once)
        self._seconds = seconds

    def facts(self) -> str:
        return "asleep"

    def process(self) -> int:
        """Which process this is; not at once, so that others are asked, too."""
        time.sleep(SECOND / 4)
        return os.getpid()

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        time.sleep(self._seconds)
        return [Evaluation(self.price(one), self._seconds, self.price(one)) for one in weights]


class Computing(Sleeping):
    """A game whose evaluation multiplies matrices instead."""

    def __init__(self) -> None:
        super().__init__(0.0, 1)
        self._matrix = torch.eye(SIDE)

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]:
        for _ in range(PRODUCTS):
            self._matrix = self._matrix @ self._matrix
        return super().evaluate(weights, run)


@dataclass(frozen=True)
class LoadSleeping:
    """How a worker comes to hold it."""

    seconds: float
    at_once: int
    code: Sequence[str] = ()

    def load(self) -> Sleeping:
        return Sleeping(self.seconds, self.at_once)


@dataclass(frozen=True)
class LoadComputing:
    """How a worker comes to hold a game that computes."""

    code: Sequence[str] = ()

    def load(self) -> Computing:
        return Computing()


def main() -> None:
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    torch.set_num_threads(1)  # so that a worker takes one core
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    engine = RayEngine(cluster.address)
    with engine.holding(LoadComputing()) as workers:
        wait_for(workers, 1)
        computing = seconds(GivenOut(workers, PLAYERS, 1), EVALUATIONS)
    with engine.holding(LoadSleeping(SECOND, 1)) as workers:
        began = time.perf_counter()
        workers.ask("facts")
        start = time.perf_counter() - began
        here = seconds(Sleeping(SECOND, 1), EVALUATIONS)
        one = seconds(GivenOut(workers, PLAYERS, 1), EVALUATIONS)
        cluster.add_node(num_cpus=1)
        wait_for(workers, 2)
        two = seconds(GivenOut(workers, PLAYERS, 1), EVALUATIONS)
    with engine.holding(LoadComputing()) as workers:
        wait_for(workers, 2)
        computing_by_two = seconds(GivenOut(workers, PLAYERS, 1), EVALUATIONS)
    with engine.holding(LoadSleeping(0.0, COALITIONS_AT_ONCE)) as workers:
        workers.ask("facts")
        nothing = seconds(GivenOut(workers, PLAYERS, COALITIONS_AT_ONCE), NO_OPS)
        nothing_alone = seconds(GivenOut(workers, PLAYERS, 1), NO_OPS)
    ray.shutdown()
    cluster.shutdown()
    found = {
        "evaluations": EVALUATIONS,
        "seconds_in_one_process": here,
        "seconds_with_one_worker": one,
        "overhead": one / here - 1,
        "seconds_with_two_workers": two,
        "gain_of_two_workers": one / two,
        "seconds_of_computing": computing,
        "seconds_of_computing_with_two_workers": computing_by_two,
        "gain_of_two_workers_that_compute": computing / computing_by_two,
        "seconds_until_a_worker_is_ready": start,
        "no_ops": NO_OPS,
        "at_once": COALITIONS_AT_ONCE,
        "seconds_of_no_ops": nothing,
        "seconds_of_no_ops_one_at_a_time": nothing_alone,
        "seconds_of_no_ops_in_one_process": seconds(Sleeping(0.0, COALITIONS_AT_ONCE), NO_OPS),
    }
    write_json(Path(__file__).parents[1] / "ray_overhead.json", found)


def wait_for(workers: Workers, count: int) -> None:
    """Until so many workers are at work."""
    while len({process for _, process in workers.each("process", [()] * 2 * count)}) < count:
        pass


def seconds(game: NamedGame, evaluations: int) -> float:
    """How long so many coalitions take through a new ledger."""
    coalitions = (np.arange(evaluations)[:, None] >> np.arange(PLAYERS)) % 2 == 1
    with TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite").play(game, {}) as play:
        began = time.perf_counter()
        found = play.value(coalitions)
        taken = time.perf_counter() - began
    if not np.array_equal(found, coalitions.mean(axis=1)):
        raise SystemExit("the engine gives other utilities than the game")
    return taken


if __name__ == "__main__":
    main()
