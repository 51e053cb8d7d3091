"""Two machines of one core each on this one: a Ray cluster, whose workers are processes of their own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture(autouse=True)
def float32() -> None:
    """Not set here: workers take the dtype of the processor, and so must what they are compared with."""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread here, and so in each worker."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A head without cores, and two nodes of one core each. A test that removes one adds another."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1])])  # workers import `held_things`, and the same `shed` as here
    os.environ |= {"PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0"}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()
    del os.environ["PYTHONPATH"]
    if before is not None:
        os.environ["PYTHONPATH"] = before
