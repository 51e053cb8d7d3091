"""The comparison's settings name every run once."""

from pathlib import Path

import pytest

from experiments.compare.settings import PATH, Settings, runs
from shed.errors import ShedError
from shed.params import load


def test_every_run_has_a_name_of_its_own(project_root: Path) -> None:
    found = list(runs(load(Settings, project_root / PATH)))
    assert len({run.name for run in found}) == len(found)
    assert {run.fraction for run in found if run.method == "full"} <= {1.0}


def test_a_share_belongs_to_one_group(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        "contenders: {methods: [random-0.1, qocs-0.1], seeds: [1, 2]}\n"
        "curve: {methods: [random-0.10], seeds: [1]}\nbootstrap_seed: 1\n"
    )
    with pytest.raises(ShedError, match=r"contenders and curve both have the share 0\.1"):
        load(Settings, file)


def test_a_contender_without_a_share_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        "contenders: {methods: [random], seeds: [1]}\ncurve: {methods: [full-1.0], seeds: [1]}\nbootstrap_seed: 1\n"
    )
    with pytest.raises(ShedError, match="contenders.methods"):
        load(Settings, file)
