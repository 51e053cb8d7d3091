"""An engine that is not there is one line, in a time that is stated."""

import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from shed.common.errors import ShedError
from shed.models.specs import ModelSpec
from shed.params import load_params
from shed.settings.engine import engine_of
from shed.workers import ray_cluster
from shed.workers.ray_cluster import connect, layout, places
from shed.workers.sameness import ModelThere, differences
from stages import fetch

with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(ShedError, match=r"Ray is not installed; run `pip install 'shed-tuning\[ray\]'`, or take the engine lo"):
        connect(None)


def test_that_ray_is_missing_is_said_before_anything_is_fetched(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(project_root / "params.yaml").model_copy(update={"engine": "ray"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(ShedError, match="Ray is not installed"):
        fetch.run(params)
    assert not [*tmp_path.iterdir()]


def test_ray_is_not_imported_unless_it_is_asked_for() -> None:
    program = "import sys, shed.workers.ray_engine, stages.verdict, stages.rate, stages.score; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False).returncode == 0
    assert engine_of("local", "some:1") is None


@with_ray
@pytest.mark.parametrize("address", ["somewhere", "host:", ":6379", "ray://host:10001", "host:port"])
def test_what_is_no_address_is_one_line(address: str) -> None:
    with pytest.raises(ShedError, match="is no address of a Ray cluster; give HOST:PORT"):
        ray_cluster.check_reached(address)


@with_ray
def test_where_nothing_answers_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        began = time.monotonic()
        with pytest.raises(ShedError, match=r"^the Ray cluster 127\.0\.0\.1:\d+ cannot be reached \(.*\); is it running\?$"):
            ray_cluster.check_reached(f"127.0.0.1:{taken.getsockname()[1]}")
    assert time.monotonic() - began < ray_cluster.REACH_SECONDS


@with_ray
@pytest.mark.slow
def test_what_answers_and_is_no_cluster_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "ANSWER_SECONDS", 3)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ShedError, match=r"^what answers at 127\.0\.0\.1:\d+ is no Ray cluster of this version; look at"):
            ray_cluster.check_reached(f"127.0.0.1:{other.getsockname()[1]}")


def node(name: str, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "NodeManagerHostname": f"host of {name}", "Resources": resources}


def test_each_gpu_has_a_worker_or_each_group_of_as_many_cores_as_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()

    def placed(*nodes: dict[str, Any]) -> list[tuple[str, int]]:
        monkeypatch.setattr(ray_cluster, "_alive", lambda: list(nodes))
        return [(place.node, place.number) for place in places(layout())]

    try:
        torch.set_num_threads(2)
        assert placed(node("a", CPU=5.0), node("b", CPU=1.0), node("head")) == [("a", 0), ("a", 1)]
        assert layout() == (False, 2)
        with pytest.raises(ShedError, match=r"torch uses 2 threads here, and no node of the Ray cluster has more than 1 cores"):
            placed(node("a", CPU=1.0), node("b", CPU=1.0))
        assert placed(node("a", CPU=64.0), node("b", CPU=4.0, GPU=2.0)) == [("b", 0), ("b", 1)]
        assert layout().gpu
        with pytest.raises(ShedError, match="no node of the Ray cluster has a core or a GPU to work with; add one"):
            placed(node("head", CPU=0.0))
    finally:
        torch.set_num_threads(threads)


def test_a_model_must_have_the_same_files_in_each_worker(tiny_model: str, tmp_path: Path) -> None:
    own = ModelThere.of(ModelSpec(tiny_model, "plain", 200))
    assert own.check() == own.spec
    assert ModelThere.of(ModelSpec("packaged/some", "plain", 200)).files is None
    config = Path(tiny_model) / "config.json"
    text = config.read_text(encoding="utf-8")
    try:
        config.write_text(text.replace('"hidden_size": 32', '"hidden_size": 16'), encoding="utf-8")
        with pytest.raises(
            ShedError, match=r"is another one than where this was started: config\.json differs; copy the folder"
        ):
            own.check()
    finally:
        config.write_text(text, encoding="utf-8")


def test_differences_name_both_sides() -> None:
    assert differences({"torch": "1", "peft": "2"}, {"torch": "1", "peft": "2"}) == ""
    assert (
        differences({"torch": "1", "peft": "2"}, {"torch": "3"}) == "torch is 3 there and 1 here, peft is none there and 2 here"
    )
