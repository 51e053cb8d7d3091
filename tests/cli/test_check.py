"""Checking before paying: what a project's data holds, and what of it would stop the pipeline."""

import json
import os
from collections import Counter
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from project_calls import call, write_rows
from ruamel.yaml import YAML

from shed.cli.making.findings import COUNTED
from shed.cli.making.outlook import few
from shed.cli.making.survey import sampled
from shed.data.records import single_turn
from shed.data.tasks.dev_tasks import DevTask
from shed.models.encoding import token_lengths
from shed.params import load_params

WEIGHTS = {"maths": 0.0, "chat": 1.0}


@pytest.fixture
def project(tmp_path: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Of sixty rows, with dev and test of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for n, split in enumerate(("pool", "dev", "test")):
        write_rows(tmp_path / "mine" / f"{split}.jsonl", 60, 1_000 * n)
    data = [word for split in ("pool", "dev", "test") for word in (f"--{split}", f"mine/{split}.jsonl")]
    assert call("init", "mine", *data, "--model", tiny_model) == 0
    monkeypatch.chdir(tmp_path / "mine")
    capsys.readouterr()
    return tmp_path / "mine"


def change(project: Path, section: str, **values: Any) -> None:
    yaml, path = YAML(), project / "params.yaml"
    params = yaml.load(path.read_text(encoding="utf-8"))
    (params[section] if section else params).update(values)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git" not in path.parts}


def test_good_data_passes_and_nothing_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(project)
    assert call("check", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert {split: found["card"][split]["kept"] for split in ("pool", "dev", "test")} == {"pool": 60, "dev": 60, "test": 60}
    assert found["card"]["pool"]["forms"] == {"alpaca": 60}
    assert found["lengths"]["rows"] == 60
    assert files(project) == before
    assert "DVC_ROOT" not in os.environ


def test_what_is_set_aside_is_told_with_its_place(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = (project / "pool.jsonl").read_text(encoding="utf-8").splitlines()
    of_test = (project / "test.jsonl").read_text(encoding="utf-8").splitlines()
    (project / "pool.jsonl").write_text("\n".join([*rows, rows[0], of_test[0], "no JSON"]) + "\n", encoding="utf-8")
    assert call("check") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "pool: set aside, exact_duplicate: 1 row, the first is pool.jsonl, line 61" in said
    assert "pool: set aside, in_test: 1 row, the first is pool.jsonl, line 62" in said
    assert "not valid JSON: 1 row, the first is pool.jsonl, line 63" in said
    assert "0 errors" in said


def test_few_records_are_warned_of_by_the_width_of_an_interval(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(project / "dev.jsonl", 97, 5_000)
    assert call("check", "--json") == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith(
        "test: gains are measured on 60 records alone; the 95 % interval of a mean over so few is ± 0.25 "
    )
    assert "± 13 percentage points" in warning
    assert "evaluate.limit" not in warning  # which leaves out none


def test_records_that_are_not_measured_do_not_count(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(project / "dev.jsonl", 97, 5_000)
    change(project, "evaluate", limit=5)
    assert call("check", "--json") == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith("test: gains are measured on 5 records alone")
    assert "(evaluate.limit is 5 of each source, and there are 60)" in warning


def test_a_dev_task_that_does_not_count_is_no_evidence(project: Path) -> None:
    params = load_params(project / "params.yaml")
    tasks = {name: DevTask.model_validate({"from": f"{name}.jsonl", "weight": weight}) for name, weight in WEIGHTS.items()}
    params = params.model_copy(update={"data": params.data.model_copy(update={"dev": tasks})})
    splits = {"dev": {"maths": 200, "chat": 40}, "test": {"test": 500}}
    card = {split: {"kept": sum(own.values()), "kept_by_source": own} for split, own in splits.items()}
    dev, test = few(params, card)
    assert dev.startswith("dev: what is useful is known by 40 records alone")
    assert test.startswith("test: gains are measured on 80 records alone")


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("score", {"budget": {"evaluations": None, "fte": 5.0, "minutes": None}}, "takes at least 6.0; raise the budget"),
        ("score", {"budget": {"evaluations": 3, "fte": None, "minutes": None}}, "of 3 evaluations does not cover"),
        ("", {"C": 100}, "C is 100"),
        ("data", {"pool": "nowhere.jsonl"}, "data.pool: nowhere.jsonl: no such file"),
        ("regime", {"modules": ["qq_proj"]}, "regime.modules"),
        ("sample", {"fraction": 2.0}, "sample.fraction"),
        ("model", {"name": "no/such-folder"}, "model.name"),
    ],
)
def test_what_would_stop_the_pipeline_is_an_error(
    section: str,
    values: dict[str, Any],
    said: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    change(project, section, **values)
    assert call("check", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert said in found["errors"][0]


def test_too_many_unreadable_rows_are_an_error_that_names_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (project / "pool.jsonl").open("a", encoding="utf-8") as file:
        file.write("no JSON\n" * 30)
    assert call("check") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "the first is pool.jsonl, line 61" in said
    assert "each is in rejects.jsonl, once `shed run prepare` has written it to data/prepared" in said
    assert "1 error" in said


@pytest.mark.parametrize("path", ["nowhere.jsonl", "nowhere/*.jsonl"])
def test_a_path_in_a_recipe_is_named_as_the_user_wrote_it(path: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "mine.yaml").write_text(f"sources:\n  - {{name: mine, path: '{path}'}}\n", encoding="utf-8")
    change(project, "data", pool="mine.yaml")
    assert call("check", "--json") == 1
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert error.startswith(f"mine.yaml, source 'mine': {path}: ")
    assert "/tmp" not in error.replace(str(project), "")


def test_a_change_that_is_not_made_is_checked_and_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "params.yaml").read_bytes()
    for change, said in (
        ("C=100", "-S C=100: the pool has 60 records, and C is 100"),
        ("sampler=qwxs", "-S sampler=qwxs: sampler is 'qwxs'; it must be 'top'"),
        ("sample.rows=20", "-S sample.rows=20: set exactly one of sample.fraction, sample.rows and sample.tokens"),
        ("data.pool=nowhere.jsonl", "-S data.pool=nowhere.jsonl: data.pool: nowhere.jsonl: no such file"),
    ):
        assert call("check", "-S", change, "--json") == 1
        (error,) = json.loads(capsys.readouterr().out)["errors"]
        assert error.startswith(said)
        assert "params.yaml: " not in error
    assert call("check", "-S", "sample.fraction=null", "-S", "sample.rows=20", "--json") == 0
    assert (project / "params.yaml").read_bytes() == before


def test_what_is_wrong_with_the_file_is_not_blamed_on_a_change(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, "", C="many")
    assert call("check", "-S", "sampler=random", "--json") == 1
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert "params.yaml: C is 'many'" in error
    assert not error.startswith("-S")


def test_records_that_are_too_long_are_counted_with_what_becomes_of_them(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [{"instruction": f"Tell of {n}.", "output": "and so on " * 80} for n in range(3)]
    with (project / "pool.jsonl").open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n" for row in long))
    change(project, "model", max_tokens=128)
    assert call("check") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "pool: 3 records of 63 longer than the context, which cannot be selected (sample.too_long: false)" in said
    assert "of the first 500 records" not in said
    assert call("check", "-S", "sample.too_long=true") == 0
    assert "which may be selected as they are cut (sample.too_long: true)" in " ".join(capsys.readouterr().out.split())


def test_tokens_that_are_counted_in_some_records_say_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert signature(token_lengths).parameters["most"].default == COUNTED
    write_rows(project / "pool.jsonl", 501)
    assert call("check") == 0
    assert "tokens, longest and cut: of the first 500 records of pool; " in " ".join(capsys.readouterr().out.split())


def test_dev_tasks_are_told_with_their_rows_and_weights(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(project / "chat.jsonl", 30, 9_000)
    tasks = {"sums": {"from": "dev.jsonl", "weight": 3.0}, "talk": {"from": "chat.jsonl", "weight": 1.0}}
    change(project, "data", dev=tasks)
    assert call("check") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    at = lines.index(["dev", "task", "rows", "weight"])
    assert lines[at + 1 : at + 3] == [["sums", "60", "0.75"], ["talk", "30", "0.25"]]


def many_rows(project: Path, unreadable: int) -> None:
    """A hundred rows, three of them once more with another spacing, and some that are no rows."""
    write_rows(project / "pool.jsonl", 100)
    rows = (project / "pool.jsonl").read_text(encoding="utf-8").splitlines()
    other = [row.replace("What comes", "what  comes") for row in rows[:3]]
    (project / "pool.jsonl").write_text("\n".join([*rows, *other, *["no JSON"] * unreadable]) + "\n", encoding="utf-8")


def test_of_many_rows_all_are_read_and_a_sample_is_looked_at(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed.cli.making.check.HELD", 50)
    many_rows(project, unreadable=3)
    assert call("check", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    card = found["card"]["pool"]
    assert card["in"] == 106
    assert card["rejected_by_reason"] == {"duplicate": 3, "not valid JSON": 3}
    assert card["looked_at"]["rows"] == 51
    assert (card["kept"], card["kept_at_most"]) == (100, True)
    assert {"split": "pool", "reason": "duplicate", "origin": "pool.jsonl, line 101"} in found["rejects"]
    assert "pool: all 106 rows were read; " in "\n".join(found["told"])
    assert "50 kept" not in "\n".join(found["told"])  # it is the sample's


def test_too_many_unreadable_rows_among_many_are_counted_among_all(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed.cli.making.check.HELD", 50)
    many_rows(project, unreadable=10)
    assert call("check") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "error: the pool: 10 of 113 rows cannot be read" in said
    assert "not valid JSON (10 rows, the first is pool.jsonl, line 104); mend them, or allow more" in said
    assert "random sample" not in said


def test_a_sample_is_not_refused_for_a_selection_that_all_rows_can_fill(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed.cli.making.check.HELD", 30)
    change(project, "", C=5)
    change(project, "sample", fraction=None, rows=50)
    assert call("check", "--json") == 0, capsys.readouterr().out
    change(project, "sample", fraction=None, rows=70)
    assert call("check", "--json") == 1
    capsys.readouterr()


def test_a_sample_holds_each_row_with_the_same_chance() -> None:
    counts = Counter[str]()
    for seed in range(300):
        records = (single_turn(f"question {n}", "answer", "mine", f"line {n}") for n in range(20))
        held = [row.origin for row in sampled(records, 5, seed, {}, "pool", 0.0)]
        assert held == sorted(held, key=lambda origin: int(origin.split()[1]))
        counts.update(held)
    assert sum(counts.values()) == 300 * 5
    assert all(45 < counts[f"line {n}"] < 110 for n in range(20))  # 75 expected, with a standard deviation of 7.5
