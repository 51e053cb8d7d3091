"""A Ray cluster: whether it can be reached, and where in it workers have their places.

In: an address, or none for a cluster of this machine alone. Out: a connection; the places of workers, one for each GPU, or for
each group of cores where no node has a GPU.

Ray is imported where it is asked for, and not before.
"""

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import Any, NamedTuple

from shed.common.errors import ShedError

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
REACH_SECONDS, ANSWER_SECONDS = 10, 30  # until a cluster's machine, and then Ray on it, must have answered
MOST_SAID = 300  # characters of Ray's message


class Place(NamedTuple):
    """Where a worker may be: a node, and the how-manieth worker there it is."""

    node: str
    machine: str
    number: int


class Layout(NamedTuple):
    """What a worker has: a GPU, or so many cores; and the threads that torch has in it."""

    gpu: bool
    threads: int


def check_installed() -> None:
    """Refuse to go on without Ray.

    Raises:
        ShedError: it is not installed.
    """
    if find_spec("ray") is None:
        raise ShedError(
            "the engine is ray, but Ray is not installed; run `pip install 'shed-tuning[ray]'`, or take the engine local",
            "engine",
        )


def connect(address: str | None) -> None:
    """Connect this process to a cluster, or without an address start one of this machine alone.

    Raises:
        ShedError: Ray is not installed, the cluster cannot be reached within `REACH_SECONDS` + `ANSWER_SECONDS`, or its Ray
            or Python is of another version.
    """
    check_installed()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would send statistics of a cluster that is started here
    import ray

    if ray.is_initialized():
        found = ray.get_runtime_context().gcs_address
        if address not in (None, "auto", found):
            raise ShedError(
                f"this process is connected to the Ray cluster {found} already, and not to {address}", "engine address"
            )
        return
    if address not in (None, "auto"):
        check_reached(address)
    try:
        ray.init(
            address=address or "local", include_dashboard=None if address else False, log_to_driver=False, logging_level="ERROR"
        )
    except (ConnectionError, RuntimeError, ValueError) as error:  # what Ray raises for addresses and other versions
        reason = " ".join(str(error).split())[:MOST_SAID]
        raise ShedError(f"the Ray cluster {address or 'of this machine'} cannot be used: {reason}", "engine address") from error


def layout() -> Layout:
    """What each worker has in the cluster as it is now: the same for all of them, and for those that come later.

    A group of cores has as many as torch uses in this process, so that numbers are those of this process: OMP_NUM_THREADS
    sets it.

    Raises:
        ShedError: no node has a GPU or so many cores.
    """
    import torch

    resources = [node["Resources"] for node in _alive()]
    if any(own.get("GPU", 0) >= 1 for own in resources):
        return Layout(True, 1)
    most = max((int(own.get("CPU", 0)) for own in resources), default=0)
    if most < 1:
        raise ShedError("no node of the Ray cluster has a core or a GPU to work with; add one", "engine address")
    threads = torch.get_num_threads()
    if most < threads:
        raise ShedError(
            f"torch uses {threads} threads here, and no node of the Ray cluster has more than {most} cores; numbers depend on "
            f"threads in their last digits: set OMP_NUM_THREADS to {most} or less here, or add larger nodes",
            "engine address",
        )
    return Layout(False, threads)


def places(own: Layout) -> list[Place]:
    """The places of all workers that the nodes that are alive have room for."""
    found = []
    for node in _alive():
        resources = node["Resources"]
        room = int(resources.get("GPU", 0)) if own.gpu else int(resources.get("CPU", 0)) // own.threads
        found += [Place(node["NodeID"], node["NodeManagerHostname"], number) for number in range(room)]
    return found


def _alive() -> list[dict[str, Any]]:
    import ray

    found: list[dict[str, Any]] = [node for node in ray.nodes() if node["Alive"]]
    return found


def check_reached(address: str) -> None:
    """Refuse an address where no cluster answers, which Ray itself would wait for by minutes."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit():
        raise ShedError(
            f"{address!r} is no address of a Ray cluster; give HOST:PORT as `ray start --head` says it, or auto, on one of its "
            "machines",
            "engine address",
        )
    try:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
        asked = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
        subprocess.run(asked, check=True, capture_output=True, timeout=ANSWER_SECONDS)
    except (OSError, OverflowError) as error:
        raise ShedError(f"the Ray cluster {address} cannot be reached ({error}); is it running?", "engine address") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ShedError(
            f"what answers at {address} is no Ray cluster of this version; look at `ray status` there", "engine address"
        ) from error
