"""Selections from anywhere are compared with random rows and with each other, and a run is paid for once."""

import re
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from shed.common.atomic_io import read_json, write_json, write_jsonl, write_table, write_text
from shed.data.records import Record
from shed.evaluation import run_ledger


@pytest.fixture
def made(project_root: Path, tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rows of each run that is made. It gains half a nat a token if the first record is in it."""
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": "packaged/smollm2-135m-instruct"})
    for split in ("pool", "dev", "test"):
        write_jsonl(f"data/prepared/{split}.jsonl", (record.to_row() for record in records))
    ids = [record.id for record in records]
    write_table("data/clusters.parquet", pd.DataFrame({"id": ids, "source": "counting", "cluster": 0, "distance": 0.0}))
    write_table("data/scores.parquet", pd.DataFrame({"cluster": [0], "score": [1.0], "rank": [1]}))
    lengths = {"id": ids, "tokens": 20, "response_tokens": [4] * 3 + [2] * (len(ids) - 3), "too_long": False}
    write_table("data/lengths.parquet", pd.DataFrame(lengths))
    write_table("data/ratings.parquet", pd.DataFrame({"id": ids, "rating": 0.0}))
    write_text("params.yaml", (project_root / "params.yaml").read_text(encoding="utf-8"))
    budget(fraction=None, rows=3)
    runs: list[list[str]] = []

    def finetune(rows: Sequence[Record], *about: Any) -> None:
        runs.append([record.id for record in rows])

    def evaluate(_: Any, adapter: Path | None, splits: Mapping[str, Sequence[Record]], *about: Any) -> pd.DataFrame:
        rng = np.random.default_rng(len(runs))
        items = pd.DataFrame(
            [(f"{split}_{one.source}", one.id, 1.0, 3.0, 1.0, 1.0) for split, own in splits.items() for one in own],
            columns=["task", "id", "correct", "nats", "tokens", "choice_nats"],
        )
        return items.assign(nats=3 - 0.5 * (ids[0] in runs[-1]) + rng.normal(0, 0.01, len(items)))

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    return runs


def budget(**settings: Any) -> None:
    yaml = YAML()
    params = yaml.load(Path("params.yaml").read_text(encoding="utf-8"))
    params["sample"] |= settings
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def judged(*files: str) -> None:
    """`python -m experiments.referee` with these files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["referee", *files])
        runpy.run_module("experiments.referee", run_name="__main__")


def test_two_selections_are_compared_with_random_rows_and_with_each_other(
    made: list[list[str]], records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    write_text("good.txt", "\n".join(record.id for record in records[:3]))
    write_jsonl("rest.jsonl", (record.to_row() for record in records[3:6]))
    judged("good.txt", "rest.jsonl")
    printed = capsys.readouterr()
    assert len(made) == 9
    assert made[3:6] == [[record.id for record in records[:3]]] * 3
    assert "test: gains over random_rows" in printed.out
    assert "dev: gains over good" in printed.out
    over_good = next(line for line in printed.out.split("test: gains over good")[1].splitlines() if "`rest`" in line)
    gain = re.search(r"([+-][0-9.]+) \[", over_good)
    assert gain
    assert float(gain[1]) == pytest.approx(-0.5, abs=0.02)
    assert "matched with the pool: 3" in printed.err
    judged("rest.jsonl")
    assert len(made) == 9


def test_a_budget_of_tokens_is_that_of_random_rows_too(made: list[list[str]], records: list[Record]) -> None:
    """Of the records the first three have four response tokens each, all others two."""
    write_text("good.txt", "\n".join(record.id for record in records))
    budget(budget="tokens", rows=None, tokens=12)
    judged("good.txt")
    of = {record.id: 4 if place < 3 else 2 for place, record in enumerate(records)}
    assert {sum(of[id] for id in rows) for rows in made} <= {11, 12, 13, 14}  # as nearly as whole rows allow
    assert made[3:] == [[record.id for record in records[:3]]] * 3
    assert {len(rows) for rows in made[:3]} - {3}


def test_gains_over_random_rows_and_over_the_first_file_are_written_by_the_names_that_files_are_given(
    made: list[list[str]], records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    write_text("a/scores.txt", "\n".join(record.id for record in records[:3]))
    write_text("b/scores.txt", "\n".join(record.id for record in records[3:6]))
    judged("mine=a/scores.txt", "theirs=b/scores.txt", "--json", "gains.json")
    found = read_json("gains.json")
    assert found["seeds"] == 3
    assert list(found["all_tasks"]) == list(found["by_task"]) == ["test", "dev"]
    (theirs,) = [row for row in found["all_tasks"]["dev"]["mine"] if row["method"] == "theirs"]
    assert theirs["loss_gain"] == pytest.approx(-0.5, abs=0.02)
    assert theirs["loss_gain_low"] < theirs["loss_gain"] < theirs["loss_gain_high"]
    (of_task,) = [row for row in found["by_task"]["test"]["random_rows"] if row["method"] == "mine"]
    assert of_task["task"] == "counting"
    assert "`theirs`" in capsys.readouterr().out


def test_a_name_may_hold_the_sign_that_gives_names(made: list[list[str]], records: list[Record]) -> None:
    write_text("by=hand/good.txt", "\n".join(record.id for record in records[:3]))
    judged("by=hand/good.txt", "--json", "gains.json")
    assert {row["method"] for row in read_json("gains.json")["all_tasks"]["dev"]["random_rows"]} == {"random_rows", "good"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ["a/x.txt", "b/x.txt"],
            "b/x.txt: each selection needs a name of its own, other than random_rows; give it as NAME=FILE",
        ),
        (["random_rows.txt"], "random_rows.txt: each selection needs a name of its own"),
        (["y=a/x.txt", "y=b/x.txt"], "y=b/x.txt: each selection needs a name of its own"),
        (["=a/x.txt"], "=a/x.txt: each selection needs a name of its own"),
        (["a/x.txt"], "keep at most 1 rows, and set no fraction (sample.rows in params.yaml)"),
        (["none.txt"], "none.txt: no such file"),
        (["bad.jsonl"], "bad.jsonl: 1 of its 1 rows cannot be read; the first is line 1: not valid JSON"),
    ],
)
def test_what_is_no_selection_is_one_line_before_anything_is_tuned(
    made: list[list[str]], records: list[Record], files: list[str], said: str
) -> None:
    for folder in ("a", "b", "."):
        write_text(f"{folder}/{'x' if folder != '.' else 'random_rows'}.txt", records[0].id)
    write_text("bad.jsonl", "{")
    with pytest.raises(SystemExit) as ended:
        judged(*files)
    assert "sample.given" not in str(ended.value)
    assert said in str(ended.value)
    assert "\n" not in str(ended.value)
    assert made == []


def test_more_questions_and_seeds_than_params_have_are_asked_for(
    made: list[list[str]], records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    write_text("good.txt", "\n".join(record.id for record in records[:3]))
    judged("good.txt", "--seeds", "4", "--json", "gains.json")
    assert len(made) == 8
    found = read_json("gains.json")
    assert (found["seeds"], found["items"]) == (4, {"test": len(records), "dev": len(records)})
    with pytest.raises(SystemExit):
        judged("good.txt", "--limit", "0")
    assert "argument --limit: invalid number of at least 1 value: '0'" in capsys.readouterr().err
