"""What the cost model says of many workers, against a run of the engine whose model only sleeps.

In: what a token pass of the packaged model took (benchmarks/planned_times.json), and the paper's settings. Out:
benchmarks/simulated_run.json: for each kind of work its seconds in one process by the cost model, what they are on
all workers, and what was measured. Run it by `python -m benchmarks.workers.simulated_run`; it needs the extra `ray`, takes
ten minutes and 5 GB of memory, and little of a processor once the workers have started.

Workers are processes of this machine that hold `shed.workers.ray_actor.HoldingWorker`. What they sleep instead of working is
divided by `FASTER`. They are given a module `torch` that is nearly empty, since 64 processes that load the real one would take
three times as much memory. Engine, ledger, estimator and budget are the pipeline's own.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heapreplace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.workers.asleep import Asleep, GivenOut
from shed.common.atomic_io import read_json, write_json
from shed.valuation.budget import Budget, spend
from shed.valuation.estimators.removal import Removal
from shed.valuation.fidelity import half_coalitions
from shed.valuation.ledger import Ledger, LedgeredGame
from shed.valuation.ratings import BLOCK
from shed.workers.contract import Workers
from shed.workers.ray_engine import RayEngine

HERE = Path(__file__).parents[1]
RESULTS, TIMED = HERE / "simulated_run.json", HERE / "planned_times.json"
WORKERS, FASTER = 64, 400.0
CLUSTERS, GROUP, AUDITED = 3000, 60, 50  # as in profiles/paper.yaml
LOOK = 1.0  # seconds that each worker takes to say that it is there
POOL, TOKENS, EPOCHS = 1_000_000, 200, 3
DEV_TOKENS, EVALUATION_TOKENS = 60_000, 500_000
SELECTED, SEEDS = 10_000, 3
ITERATIONS = {1: 10, 8: 1}  # of removal, by how many coalitions one worker tunes together: ten are the paper's
WITHOUT_TORCH = '''"""All that a worker which only sleeps needs of torch."""

class OutOfMemoryError(RuntimeError):
    pass

def set_num_threads(threads):
    pass
'''


def main() -> None:
    import ray
    from ray.cluster_utils import Cluster

    torch.set_num_threads(1)  # so that a worker takes one of the node's cores
    model = read_json(TIMED)["packaged"]["timed"]
    passes = (model["read_ms"] / 1000 / FASTER, model["tuned_ms"] / 1000 / FASTER)
    work = Asleep(*passes, TOKENS, EPOCHS, CLUSTERS, DEV_TOKENS, EVALUATION_TOKENS)
    with TemporaryDirectory() as folder:
        (Path(folder) / "torch.py").write_text(WITHOUT_TORCH, encoding="utf-8")
        paths = [folder, str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PYTHONPATH": os.pathsep.join(paths)}
        cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        cluster.add_node(num_cpus=WORKERS)
        began = time.perf_counter()
        with RayEngine(cluster.address).holding(work) as workers:
            while len({process for _, process in workers.each("process", [(LOOK,)] * WORKERS)}) < WORKERS:
                pass  # until all of them are there
            ready = time.perf_counter() - began
            found = measured(work, workers)
        ray.shutdown()
        cluster.shutdown()
    sizes = {"clusters": CLUSTERS, "pool": POOL, "tokens": TOKENS, "selected": SELECTED}
    write_json(RESULTS, {"workers": WORKERS, "faster": FASTER, **sizes, "seconds_until_ready": ready, "work": found})


def measured(work: Asleep, workers: Workers) -> dict[str, dict[str, float]]:
    """Of each kind of work, what the cost model says and what was measured, in simulated seconds."""
    blocks = [min(BLOCK, POOL - at) for at in range(0, POOL, BLOCK)]
    audit = half_coalitions(CLUSTERS, AUDITED, seed=2).sum(axis=1).tolist()
    found = {"rate": compared([[work.block_seconds(records) for records in blocks]], given(workers, "block", [blocks]))}
    for at_once, iterations in ITERATIONS.items():
        game = GivenOut(workers, CLUSTERS, at_once)
        took = played(game, partial(spend, Removal(GROUP, iterations, seed=1), budget=Budget()))
        found[f"score_by_{at_once}"] = compared([together(work, removed(i), at_once) for i in range(iterations)], took)
        took = played(game, lambda play: play.value(half_coalitions(CLUSTERS, AUDITED, seed=2)))
        found[f"fidelity_by_{at_once}"] = compared([together(work, audit, at_once)], took)
    runs = [[SELECTED] * n for n in (SEEDS - 1, SEEDS, SEEDS)]  # one of the selection's is the final tuning
    found["verdict"] = compared([[work.run_seconds(rows) for rows in one] for one in runs], given(workers, "items", runs))
    return found


def removed(iteration: int) -> list[int]:
    """How many players the coalitions of an iteration have; those of all and of none are in the ledger after the first."""
    sizes = list(range(CLUSTERS, -1, -GROUP))
    return sizes[1:-1] if iteration else sizes


def together(work: Asleep, sizes: Sequence[int], at_once: int) -> list[float]:
    """Seconds of each group of coalitions that one worker tunes together."""
    each = [work.coalition_seconds(size) for size in sizes]
    return [sum(each[at : at + at_once]) for at in range(0, len(each), at_once)]


@dataclass(frozen=True)
class Took:
    """Seconds, by the clock and of this process's work, in which it gives out and keeps."""

    seconds: float
    giving_out: float


def played(game: GivenOut, play: Callable[[LedgeredGame], object]) -> Took:
    """Of evaluations through a new ledger."""
    with TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite").play(game, {}) as own:
        return timed(lambda: play(own))


def given(workers: Workers, method: str, rounds: Sequence[Sequence[int]]) -> Took:
    """Of pieces, of which those of a round are given out when those of the one before are done."""
    return timed(lambda: [list(workers.each(method, [(piece,) for piece in pieces])) for pieces in rounds])


def timed(work: Callable[[], object]) -> Took:
    began, own = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - began, time.process_time() - own)


def compared(rounds: Sequence[Sequence[float]], took: Took) -> dict[str, float]:
    """What was measured, beside what follows from rounds of pieces, of which each begins when the one before has ended."""
    alone = sum(map(sum, rounds))
    planned = sum(given_out(pieces, WORKERS) for pieces in rounds)
    return {
        "pieces": sum(map(len, rounds)),
        "rounds": len(rounds),
        "alone": alone,
        "evenly": alone / WORKERS,
        "planned": planned,
        "measured": took.seconds,
        "of_planned": took.seconds / planned,
        "gain": alone / took.seconds,
        "giving_out": took.giving_out,
    }


def given_out(pieces: Sequence[float], workers: int) -> float:
    """Seconds until all pieces are done, each of which goes to the worker that is free first."""
    free = [0.0] * workers
    for piece in pieces:
        heapreplace(free, free[0] + piece)
    return max(free)


if __name__ == "__main__":
    main()
