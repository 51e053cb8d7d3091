"""Work under Ray: every call is answered once, whatever becomes of workers; what cannot be is said in one line."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from held_things import LoadThing

from shed.common.errors import ShedError
from shed.workers import ray_engine
from shed.workers.ray_engine import RayEngine

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def test_work_is_shared_and_a_fault_is_told_as_in_one_process(cluster: Any) -> None:
    with RayEngine(cluster.address).holding(LoadThing()) as workers:
        assert dict(workers.each("double", [(n,) for n in range(100)])) == {n: 2 * n for n in range(100)}
        taken: list[int] = []
        coming = ((taken.append(n) or n,) for n in range(1000))
        assert next(workers.each("double", coming))
        assert len(taken) < 20  # a long pool is not read ahead of those who rate it
        shared = workers.shared(21)
        assert workers.ask("double", shared) == 42
        with pytest.raises(ShedError, match="^7 is refused$") as caught:
            workers.ask("fault", 7)
        assert caught.value.setting == "learning rate"
        assert workers.ask("double", 1) == 2  # and work goes on
        done = dict(workers.each("slow_double", [(n,) for n in range(8)]))
        assert [own for own, _ in (done[n] for n in range(8))] == [2 * n for n in range(8)]
        assert len({process for _, process in done.values()}) == 2


def test_a_worker_that_dies_of_memory_twice_on_the_same_work_is_one_line(cluster: Any) -> None:
    with RayEngine(cluster.address).holding(LoadThing()) as workers:
        with pytest.raises(ShedError, match="^2 workers have died of the same work, the last on .*, for lack of memory; lower"):
            workers.ask("memory", 3)
        with pytest.raises(ShedError, match="^3 workers have died of the same work, the last on .*; Ray's logs there say more"):
            workers.ask("die", 1)
        assert workers.ask("double", 4) == 8  # others take their places


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (LoadThing(fails="model"), r"^there is no folder /no/such/model with the language model; put .* \(a worker on "),
        (
            LoadThing(facts="all differ"),
            r"would give other numbers: it has process \d+, and the first worker has process \d+; use",
        ),
    ],
)
def test_workers_that_would_give_other_numbers_are_refused(cluster: Any, load: LoadThing, said: str) -> None:
    with RayEngine(cluster.address).holding(load) as workers, pytest.raises(ShedError, match=said):
        list(workers.each("slow_double", [(n,) for n in range(40)]))


def test_versions_that_differ_are_refused_and_both_are_named(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here: Callable[..., dict[str, str]] = ray_engine.versions
    monkeypatch.setattr(ray_engine, "versions", lambda code: here(code) | {"torch": "1.0", "shed's code": "abc"})
    with RayEngine(cluster.address).holding(LoadThing()) as workers, pytest.raises(ShedError) as caught:
        workers.ask("double", 1)
    assert "would give other numbers: torch is 2." in str(caught.value)
    assert "there and 1.0 here, shed's code is none there and abc here; install the same on both" in str(caught.value)


def test_a_machine_without_shed_is_one_line(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lacking:
        def __init__(self, threads: int, folder: str) -> None:
            raise ModuleNotFoundError("No module named 'shed'")

        def versions(self, code: Sequence[str]) -> None: ...

    monkeypatch.setattr(ray_engine, "HoldingWorker", Lacking)
    with RayEngine(cluster.address).holding(LoadThing()) as workers, pytest.raises(ShedError) as caught:
        workers.ask("double", 1)
    said = r"^3 workers have died of loading the model, the last on .*: ModuleNotFoundError: No module named 'shed'; Ray's logs"
    assert re.match(said, str(caught.value))


def test_a_full_store_of_objects_is_one_line(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def full(value: object) -> None:
        raise ray.exceptions.ObjectStoreFullError("no room")

    with RayEngine(cluster.address).holding(LoadThing()) as workers:
        monkeypatch.setattr(ray, "put", full)
        with pytest.raises(ShedError, match=r"^Ray's store of objects is full; give it more memory"):
            workers.shared("large")


def test_another_address_than_the_one_in_use_is_refused(cluster: Any) -> None:
    with RayEngine("auto").holding(LoadThing()) as workers:
        assert workers.ask("double", 1) == 2
    with pytest.raises(ShedError, match=r"is connected to the Ray cluster .* already, and not to 10\.0\.0\.1:6379"):
        RayEngine("10.0.0.1:6379").holding(LoadThing()).__enter__()
