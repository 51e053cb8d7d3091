"""LESS scores a prepared pool: a file that a selection is made by, what it cost, and a run that goes on after it was stopped."""

import runpy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from experiments.less import influence
from shed.common.atomic_io import read_json, write_json, write_jsonl
from shed.data.records import read_records, single_turn
from shed.params import load_params
from stages.shared.selecting import given_order

COUNTING = [single_turn(f"count {n}", f"number {n}, {n + 1}, {n + 2}", "counting", f"row {n}") for n in range(10, 22)]
NAMING = [single_turn(f"who is {name}", f"{name} of York", "naming", f"row {name}") for name in "ABCDEFGHIJKLMNOP"]
POOL = [one for pair in zip(COUNTING, NAMING, strict=False) for one in pair] + NAMING[len(COUNTING) :]
DEV = [single_turn(f"count {n}", f"number {n}, {n + 1}, {n + 2}", "counting", f"dev {n}") for n in range(30, 36)]


@pytest.fixture
def project(project_root: Path, tmp_path: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose pool is prepared and rated, and of whose dev records ratings use four."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    write_json("data/model.json", {"name": tiny_model})
    write_jsonl("data/prepared/pool.jsonl", (one.to_row() for one in POOL))
    write_jsonl("data/prepared/dev.jsonl", (one.to_row() for one in DEV))
    write_json("metrics/rate.json", {"rated": len(POOL), "token_passes": 5000})
    write_json("metrics/score.json", {"ratings_fte": 2.0})
    yaml = YAML()
    params = yaml.load((project_root / "params.yaml").read_text(encoding="utf-8"))
    params["model"]["name"], params["rate"]["dev_rows"] = tiny_model, 4
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    setting(lr=0.01, batch_size=2)
    return tmp_path


def setting(**changes: Any) -> None:
    yaml = YAML()
    params = yaml.load(Path("params.yaml").read_text(encoding="utf-8"))
    params["finetune"] |= changes
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def less(folder: str = "my_less") -> None:
    """`python -m experiments.less` with this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["less", folder])
        runpy.run_module("experiments.less", run_name="__main__")


def stopped_at(epoch: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From now on the program is interrupted in this epoch, once; after how many steps of the warm-up influences are asked for."""
    asked: list[int] = []
    plain = influence.influences

    def influences(*about: Any) -> Any:
        asked.append(about[1].steps)
        if len(asked) == epoch:
            raise KeyboardInterrupt
        return plain(*about)

    monkeypatch.setattr(influence, "influences", influences)
    return asked


def test_records_like_dev_are_scored_best_and_the_file_is_one_that_rows_are_taken_by(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    less()
    table = pd.read_parquet("my_less/scores.parquet")
    assert table["id"].tolist() == [one.id for one in POOL]
    by_source = table["score"].groupby([one.source for one in POOL]).mean()
    assert by_source["counting"] > by_source["naming"] + 0.05
    assert table["score"].between(-1, 1).all()
    printed = capsys.readouterr().err
    assert "LESS: epoch 4 of 4 took" in printed
    assert "python -m experiments.referee less=my_less/scores.parquet" in printed
    assert given_order(load_params(), "my_less/scores.parquet", read_records("data/prepared/pool.jsonl")) is not None
    assert not list(Path(".shed/less").iterdir())


def test_settings_and_cost_stand_beside_the_scores(project: Path) -> None:
    setting(r=2, modules=["q_proj"])
    less("there/my_less")
    about = read_json("there/my_less/less.json")
    assert (about["rows"], about["warm_rows"], about["dev_rows"]) == (len(POOL), 1, {"counting": 4})  # a twentieth
    assert about["regime"]["epochs"] == 4
    assert about["regime"]["lora"]["modules"] == ["q_proj"]
    assert about["lora_weights"] == 3 * 2 * (32 + 32)
    assert sum(about["weights_of_epochs"]) == pytest.approx(1, abs=1e-5)
    assert about["weights_of_epochs"][3] < about["weights_of_epochs"][1]  # the learning rate falls
    assert about["fte"] == pytest.approx(about["token_passes"] * 2.0 / 5000, abs=1e-5)
    assert about["seconds"] > 0


def test_a_run_that_was_stopped_goes_on_with_the_next_epoch_and_ends_with_the_same_scores(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    less("whole")
    asked = stopped_at(3, monkeypatch)
    with pytest.raises(SystemExit, match="interrupted"):
        less("parts")
    assert not Path("parts").exists()
    less("parts")
    assert asked == [1, 2, 3, 3, 4]  # the warm-up has one row, and a step an epoch
    pd.testing.assert_frame_equal(pd.read_parquet("parts/scores.parquet"), pd.read_parquet("whole/scores.parquet"))


def test_what_was_kept_under_other_settings_is_not_taken(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stopped_at(2, monkeypatch)
    with pytest.raises(SystemExit):
        less()
    setting(lr=0.02)
    less()
    assert asked == [1, 2, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("data/prepared/pool.jsonl", r"pool\.jsonl: no such file; an earlier stage makes it: run `dvc repro`"),
        ("metrics/score.json", r"metrics/score\.json: no such file; an earlier stage makes it: run `dvc repro`"),
    ],
)
def test_without_the_pipelines_results_nothing_is_begun(project: Path, missing: str, said: str) -> None:
    Path(missing).unlink()
    with pytest.raises(SystemExit, match=said):
        less()


def test_a_tuning_that_diverges_is_one_line_that_names_the_key(project: Path) -> None:
    setting(lr=1e38)
    with pytest.raises(SystemExit, match=r"lower the learning rate \(finetune\.lr in params\.yaml\)") as ended:
        less()
    assert "\n" not in str(ended.value)
    assert not Path("my_less").exists()
