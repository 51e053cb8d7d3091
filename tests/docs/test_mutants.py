"""The faults that were put into the code, and what became of them; how they are made is tried on a small module."""

from pathlib import Path

import pytest

from shed.common.atomic_io import read_json
from tools import lock

KINDS = {"equal", "cost", "wording", "rare", "slow"}  # what a reason begins with; docs/reliability.md explains them


def test_most_faults_are_found_and_each_that_is_not_has_its_reason(project_root: Path) -> None:
    told = read_json(project_root / "benchmarks/mutants.json")
    assert told["share_of_unequal"] >= 0.85
    assert told["tried"] - told["found"] == len(told["survivors"])
    assert [one for one in told["survivors"] if str(one["reason"]).partition(":")[0] not in KINDS] == []
    assert sum(own["tried"] for own in told["modules"].values()) == told["tried"]


def test_every_package_is_locked_with_its_digests(project_root: Path) -> None:
    digests = lock.by_requirement((project_root / "requirements.lock").read_text(encoding="utf-8"))
    assert len(digests) > 100
    assert [requirement for requirement, own in digests.items() if not own or "==" not in requirement] == []
    (torch,) = lock.by_requirement((project_root / "torch.lock").read_text(encoding="utf-8")).values()
    assert len(torch) > 10  # of the wheels with CUDA and of one without, by platform and Python


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a==1 \\\n    --hash=sha256:" + "0" * 64 + " \\\n    --hash=sha256:" + "1" * 64 + "\n", ["0" * 64, "1" * 64]),
        ("# a comment\na==1\n", []),
    ],
)
def test_a_lock_is_read_with_and_without_digests(text: str, found: list[str]) -> None:
    assert lock.by_requirement(text) == {"a==1": found}
