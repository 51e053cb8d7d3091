"""A dvc.yaml, a dvc.lock and params of any content are read by the commands, or refused soon and in one line."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from shed.cli.project import MOST_LOCK, read_lock, read_stages
from shed.cli.running.stages import finished, order
from shed.cli.sharing.revisions import Revision
from shed.common.errors import ShedError

LISTS = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in pairwise("abcdefghij")
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 8)}]}}\n" for a, b in pairwise("abcdefghij")
)
DEEP = "stages: " + "[" * 50_000
BOMBS = {"lists": LISTS, "merges": MERGES, "deep": DEEP, "ring": "stages: &a [*a]", "text": "stages", "list": "[stages]"}
BOMBS |= {"stage": "stages: {a: b}", "bytes": "\udcff", "tag": "!!python/object/apply:os.abort []", "half": "stages: {a: "}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_what_is_no_pipeline_is_one_line(tmp_path: Path, text: str) -> None:
    began, content = time.monotonic(), text.encode("utf-8", "surrogateescape")
    (tmp_path / "dvc.yaml").write_bytes(content)
    (tmp_path / "params.yaml").write_bytes(content)
    for read in (
        lambda: read_stages(tmp_path),
        lambda: order(tmp_path),
        lambda: finished(tmp_path),
        lambda: read_lock(content),
    ):
        with pytest.raises(ShedError) as refused:
            read()
        assert "\n" not in str(refused.value)
    if text not in ("stages", "[stages]", "stages: {a: b}"):
        with pytest.raises(ShedError, match=r"`git diff params\.yaml` may show why") as refused:
            print(Revision("workspace", tmp_path, None).params)
        assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 20


def test_a_lock_that_is_too_large_is_not_read() -> None:
    with pytest.raises(ShedError, match="more than 5,000,000 bytes"):
        read_lock(b"#" * (MOST_LOCK + 1))


def test_aliases_that_people_write_are_taken(tmp_path: Path) -> None:
    text = "stages:\n  a: &one {cmd: echo, deps: &both [x, y], outs: [z]}\n  b: {<<: *one, deps: *both, outs: [{w: {cache: false}}]}\n"
    (tmp_path / "dvc.yaml").write_text(text, encoding="utf-8")
    assert read_stages(tmp_path)["b"] == {"cmd": "echo", "deps": ["x", "y"], "outs": [{"w": {"cache": False}}]}
    assert order(tmp_path) == ["a", "b"]
    assert read_lock("schema: '2.0'\nstages:\n  a: {outs: &one [{path: x}]}\n  b: {outs: *one}\n")["b"]["outs"] == [
        {"path": "x"}
    ]


def test_a_project_without_stages_has_none(tmp_path: Path) -> None:
    for text in ("", "stages:\n", "plots: []\n"):
        (tmp_path / "dvc.yaml").write_text(text, encoding="utf-8")
        assert read_stages(tmp_path) == read_lock(text) == {}
    with pytest.raises(ShedError, match="No such file"):
        read_stages(tmp_path / "nowhere")
