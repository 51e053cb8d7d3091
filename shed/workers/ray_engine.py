"""Workers under Ray: one for each GPU or group of cores, replaced when they are lost, and added when nodes join.

In: a cluster's address, and what workers must load. Out: what their methods give, as they are done.

A worker is an actor that is bound to its node. Work is given to one that is idle; if it dies, its work goes back to the front
of the queue, and another worker takes its place if its node is still there.
"""

import re
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from shed.common.errors import ShedError
from shed.workers.contract import Load
from shed.workers.ray_actor import HoldingWorker, Reply
from shed.workers.ray_cluster import Place, connect, layout, places
from shed.workers.sameness import differences, versions

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
AHEAD = 2  # tasks for each worker that are asked for and not done
LOOK_SECONDS = 1.0  # between two looks for nodes that have joined
PATIENCE = 60.0  # seconds without any worker after which the user is told
MOST_LOST, MOST_LOST_TO_MEMORY = 3, 2  # workers that the same piece of work may cost, or loading
MOST_SAID = 200  # characters of Ray's message


@dataclass(eq=False)
class _Task:
    """A call that is asked for, with its place among others; `reply` once it is done."""

    method: str
    place: int
    arguments: Sequence[Any]
    reply: Reply | None = None
    lost: list[str] = field(default_factory=list)


@dataclass(eq=False)
class _Worker:
    """An actor at its place, with the reference that it works on; `task` is None while it loads."""

    place: Place
    actor: Any
    awaited: Any
    task: _Task | None = None
    ready: bool = False


class RayEngine:
    """Workers of a Ray cluster.

    Args:
        address: HOST:PORT of the cluster, `auto` for the one that runs on this machine; None starts one of this machine alone.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address

    @contextmanager
    def holding(self, load: Load) -> Iterator["RayWorkers"]:
        """Workers that hold what is loaded, until the block ends."""
        connect(self._address)
        workers = RayWorkers(load)
        try:
            yield workers
        finally:
            workers.end()


class RayWorkers:
    """Workers that hold the same; see `shed.workers.contract.Workers`."""

    def __init__(self, load: Load) -> None:
        import ray

        self._layout, self._versions, self._code = layout(), versions(load.code), tuple(load.code)
        own = {"num_gpus": 1, "num_cpus": 0} if self._layout.gpu else {"num_cpus": self._layout.threads}
        self._actor: Any = ray.remote(**own)(HoldingWorker)
        self._load = self.shared(load)
        self._workers: list[_Worker] = []
        self._queue: deque[_Task] = deque()
        self._facts: Any = None
        self._lost_loading: list[str] = []
        self._began, self._looked, self._told = time.monotonic(), float("-inf"), False

    def ask(self, method: str, *arguments: Any) -> Any:
        """What this method of any one of them gives."""
        ((_, value),) = self.each(method, [arguments])
        return value

    def each(self, method: str, arguments: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Any]]:
        """The places among `arguments` and what the method gives for them, in the order in which they are done.

        Raises:
            ShedError: a call has found a fault, a worker's versions or facts are others, or workers die of the same work.
        """
        coming = (_Task(method, at, own) for at, own in enumerate(arguments))
        asked: list[_Task] = []
        self._ask_for(asked, coming)
        return self._done(asked, coming)

    def shared(self, value: Any) -> Any:
        """What stands for a large value as an argument.

        Raises:
            ShedError: Ray's store of objects has no room for it.
        """
        import ray

        try:
            return ray.put(value)
        except ray.exceptions.ObjectStoreFullError as error:
            raise ShedError(
                "Ray's store of objects is full; give it more memory (`ray start --object-store-memory`)", "engine"
            ) from error

    def end(self) -> None:
        """Let all workers go."""
        import ray

        for worker in self._workers:
            with suppress(ray.exceptions.RayError):  # it may be gone already
                ray.kill(worker.actor)
        self._workers, self._queue = [], deque()

    def _ask_for(self, asked: list[_Task], coming: Iterator[_Task]) -> None:
        """Have as many tasks asked for as keep all workers at work."""
        new = list(islice(coming, max(0, AHEAD * max(1, len(self._workers)) - len(asked))))
        asked += new
        self._queue.extend(new)

    def _done(self, asked: list[_Task], coming: Iterator[_Task]) -> Iterator[tuple[int, Any]]:
        try:
            while asked:
                done = [task for task in asked if task.reply is not None]
                for task in done:
                    asked.remove(task)
                    yield task.place, _value(task.reply)
                self._ask_for(asked, coming)
                if not done:
                    self._go_on()
        finally:
            for task in asked:  # nobody waits for them any more
                with suppress(ValueError):
                    self._queue.remove(task)

    def _go_on(self) -> None:
        """Give out what waits, and take what is done, or wait for it a little."""
        import ray

        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._fill_places()
        for worker in self._workers:
            if worker.ready and worker.task is None and self._queue:
                worker.task = self._queue.popleft()
                worker.awaited = worker.actor.call.remote(worker.task.method, *worker.task.arguments)
        awaited = {worker.awaited: worker for worker in self._workers if worker.awaited is not None}
        if not awaited:
            time.sleep(LOOK_SECONDS)
            return
        for done in ray.wait(list(awaited), num_returns=1, timeout=LOOK_SECONDS)[0]:
            self._take(awaited[done])

    def _fill_places(self) -> None:
        """A worker for each place that has none."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._looked = time.monotonic()
        taken = {worker.place for worker in self._workers}
        for place in places(self._layout):
            if place not in taken:
                bound = NodeAffinitySchedulingStrategy(node_id=place.node, soft=False)
                actor = self._actor.options(scheduling_strategy=bound).remote(self._layout.threads, str(Path.cwd()))
                self._workers.append(_Worker(place, actor, actor.versions.remote(self._code)))
        if not self._told and not any(worker.ready for worker in self._workers) and self._looked - self._began > PATIENCE:
            self._told = True
            print(
                f"shed: no worker of the Ray cluster is ready after {PATIENCE:.0f} s; they are still loading, or others use "
                "its GPUs or cores (`ray status`)",
                file=sys.stderr,
            )

    def _take(self, worker: _Worker) -> None:
        """What a worker has done, or the news that it is lost."""
        import ray

        lost = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.OutOfMemoryError)
        try:
            found = ray.get(worker.awaited)
        except (*lost, ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
            self._lose(worker, _reason(str(error)))
            return
        worker.awaited = None
        if isinstance(found, dict):
            if other := differences(self._versions, found):
                raise ShedError(
                    f"a worker on {worker.place.machine} would give other numbers: {other}; install the same on both", "engine"
                )
            worker.awaited = worker.actor.load.remote(self._load)
        elif worker.task is not None:
            self._finish(worker, found)
        else:
            self._check(worker, _value(found, f" (a worker on {worker.place.machine})"))
            worker.ready = True

    def _finish(self, worker: _Worker, reply: Reply) -> None:
        task, worker.task = worker.task, None
        assert task is not None
        if reply.kind == "memory":
            self._lose(worker, reply.message, task, memory=True)
        else:
            task.reply = reply

    def _check(self, worker: _Worker, facts: Any) -> None:
        if self._facts is None:
            self._facts = facts
        if facts != self._facts:
            raise ShedError(
                f"a worker on {worker.place.machine} would give other numbers: it has {facts}, and the first worker has "
                f"{self._facts}; use machines of one kind",
                "engine",
            )

    def _lose(self, worker: _Worker, reason: str, task: _Task | None = None, memory: bool = False) -> None:
        """Take a worker out, and give its work to another one, unless that has cost too many already."""
        import ray

        with suppress(ray.exceptions.RayError):
            ray.kill(worker.actor)
        self._workers.remove(worker)
        task = task or worker.task
        memory = memory or "memory monitor" in reason or "OutOfMemoryError" in reason
        lost = self._lost_loading if task is None else task.lost
        if task is not None or worker.place in places(self._layout):  # what a node takes with it while it loads is no fault
            lost.append("memory" if memory else reason)
        if task is not None:
            self._queue.appendleft(task)
        if len(lost) >= MOST_LOST or lost.count("memory") >= MOST_LOST_TO_MEMORY:
            what = "the same work" if task is not None else "loading the model"
            died = f"{len(lost)} workers have died of {what}, the last on {worker.place.machine}"
            if memory:
                raise ShedError(
                    f"{died}, for lack of memory; lower the context length, or use machines with more memory", "context length"
                )
            raise ShedError(f"{died}: {reason[:MOST_SAID]}; Ray's logs there say more")


def _reason(said: str) -> str:
    """Why a worker is lost: the last error in what Ray says, or else how that begins."""
    found = re.findall(r"(?:\w+\.)*\w+Error: .*", said)
    return found[-1].strip() if found else " ".join(said.split())


def _value(reply: Reply | None, where: str = "") -> Any:
    assert reply is not None
    if reply.kind == "value":
        return reply.value
    if reply.kind == "memory":
        raise ShedError(f"the model cannot be loaded for lack of memory: {reply.message}{where}", "model")
    raise ShedError(f"{reply.message}{where}", reply.setting)
