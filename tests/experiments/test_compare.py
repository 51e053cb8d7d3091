"""The comparison's settings name every run once, a method costs what its scores did, and its page has every method."""

import html
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from experiments.compare import against, page
from experiments.compare.costs import costs
from experiments.compare.items import items_of
from experiments.compare.settings import PATH, Run, Settings, runs
from shed.common.atomic_io import write_json
from shed.common.errors import ShedError
from shed.params import load, load_params
from stages.shared.took import keep_seconds


def test_every_run_has_a_name_of_its_own(project_root: Path) -> None:
    found = list(runs(load(Settings, project_root / PATH)))
    assert len({run.name for run in found}) == len(found)
    assert {run.fraction for run in found if run.method == "full"} <= {1.0}


def test_a_share_belongs_to_one_group(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        "contenders: {methods: [random-0.1, qocs-0.1], seeds: [1, 2]}\ncurve: {methods: [random-0.10], seeds: [1]}\n"
    )
    with pytest.raises(ShedError, match=r"contenders and curve both have the share 0\.1"):
        load(Settings, file)


def test_a_contender_without_a_share_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("contenders: {methods: [random], seeds: [1]}\ncurve: {methods: [full-1.0], seeds: [1]}\n")
    with pytest.raises(ShedError, match="contenders.methods"):
        load(Settings, file)


def test_a_method_costs_what_its_scores_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    score = {"score_is": "mean rating", "fte": 10.0, "ratings_fte": 30.0}
    signals = {"bm25": {"fte": 0.0, "seconds": 1.0}, "rds": {"fte": 15.0, "seconds": 102.0}}
    write_json("metrics/score.json", score)
    write_json("metrics/rate.json", {"token_passes": 1000})
    write_json("experiments/compare/signals.json", signals)
    write_json("experiments/compare/ratings_of_all_tasks.json", {"token_passes": 1100, "seconds": 170.0})

    def fte() -> dict[str, float]:
        methods = [
            "random",
            "bm25",
            "rds",
            "top_by_source",
            "qocs",
            "qocs_on_shapley",
            "qwcs_on_random_scores",
            "top_on_all_tasks",
            "rds_by_length",
            "qocs_on_shapley_within_rating",
            "qwcs_on_random_scores_within_rating_by_length",
            "qocs_within_rating",
        ]
        return dict(costs(methods)[["method", "fte"]].to_numpy().tolist())

    assert fte() == {
        "random": 0.0,
        "bm25": 0.0,
        "rds": 15.0,
        "top_by_source": 30.0,
        "qocs": 30.0,
        "qocs_on_shapley": 10.0,
        "qwcs_on_random_scores": 0.0,
        "top_on_all_tasks": 33.0,
        "rds_by_length": 15.0,
        "qocs_on_shapley_within_rating": 40.0,
        "qwcs_on_random_scores_within_rating_by_length": 30.0,
        "qocs_within_rating": 30.0,  # its scores are mean ratings
    }
    write_json("metrics/score.json", score | {"score_is": "Shapley score"})
    assert fte()["qocs"] == 10.0
    keep_seconds("rate", 160.0)  # of this machine, and of no metric
    seconds = dict(costs(["top", "qocs_on_shapley", "rds"])[["method", "seconds"]].to_numpy().tolist())
    assert seconds == {"top": 160.0, "qocs_on_shapley": pytest.approx(float("nan"), nan_ok=True), "rds": 102.0}


def test_any_two_methods_can_be_compared_from_the_runs_that_were_made(
    project_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project_root)
    monkeypatch.setattr("sys.argv", ["against", "qocs", "qwcs"])
    against.main()
    dev, test = capsys.readouterr().out.split("\ntest:")
    rows = [line.split(" | ") for line in test.splitlines() if line.startswith("| 10%")]
    assert [row[1] for row in rows] == ["`qwcs`", "`qocs`"]
    assert float(rows[0][4].split()[0]) == pytest.approx(float(rows[1][3].split()[0]) - float(rows[0][3].split()[0]), abs=0.002)
    assert "gains over qocs" in dev
    monkeypatch.setattr("sys.argv", ["against", "qocs", "qcws"])
    with pytest.raises(ShedError, match=r"no runs of qcws at the share 0\.1; .* has random, top, qocs"):
        against.main()


def test_the_page_has_every_method_with_its_gain(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "experiments/compare"
    folder.mkdir(parents=True)
    for table in (project_root / "experiments/compare").glob("*.csv"):
        shutil.copy(table, folder)
    monkeypatch.chdir(tmp_path)
    page.run(load_params(project_root / "params.yaml"))
    text = html.unescape((folder / "report.html").read_text(encoding="utf-8"))
    for row in pd.read_csv(folder / "test.csv").dropna(subset=["loss_gain"]).to_dict("records"):
        assert re.search(rf">\s*{row['method']}\s*<", text), row["method"]
        assert f"{row['loss_gain']:+.3f}" in text
    assert not re.search(r"(src|href)=.https?:", text)


def test_a_run_that_was_not_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ShedError, match=r"top-0\.1-9\.parquet: no such file; python -m experiments\.compare\.run top-0\.1-9"):
        items_of([Run("top", 0.1, 9, "top-0.1-9")])
