"""The study of realistic data: its plan, its rows, and a small one from files to tables that is stopped and goes on."""

import json
import re
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from ruamel.yaml import YAML

from experiments.realistic.plan import METHODS, SHARES, Cell, cells
from experiments.realistic.sources import FILES, QUESTIONS, read_sources
from experiments.realistic.splits import DEV_SETS, OF_DEV, Sizes, split
from shed.common.atomic_io import read_json, write_json, write_jsonl, write_text
from shed.common.errors import ShedError
from shed.data.duplicates import prompt_key
from shed.data.readers import ReaderSettings
from shed.data.recipes import UserSource, read_recipe
from shed.data.records import Record, single_turn
from shed.evaluation import run_ledger

HUB = "experiments/realistic/hub.yaml"
SETTINGS = ReaderSettings(None, None, None, (), "all", 16.0)
SMALL = ("--pool-rows", "40", "--rated", "4", "--items", "3", "--questions", "2", "--scratch", "scratch", "--results", "found")


def test_the_plan_finishes_methods_one_after_the_other_and_makes_no_run_for_each_dev_set_that_knows_of_none() -> None:
    plan = cells(["mixture", "gsm8k"], ["random", "top", "top_by_length", "longest_by_length", "full"], [0.1, 0.3], [1, 2])
    assert [cell.name for cell in plan[:6]] == [
        *("any.random-0.1-1", "any.random-0.1-2"),
        *("mixture.top-0.1-1", "mixture.top-0.1-2"),
        *("mixture.top_by_length-0.1-1", "mixture.top_by_length-0.1-2"),
    ]
    assert [cell.name for cell in plan if cell.method == "full"] == ["any.full-1-1", "any.full-1-2"]
    assert plan[-1] == Cell("", "full", 1.0, 2)
    assert len(plan) == 2 * 2 * (2 + 2 * 2) + 2  # two methods know of no dev set
    assert len({cell.name for cell in plan}) == len(plan)


def test_the_whole_matrix_has_the_most_telling_runs_first() -> None:
    plan = cells(list(DEV_SETS), METHODS, SHARES, (1, 2, 3))
    assert {cell.share for cell in plan[:78]} == {0.1}
    assert next(cell.dev for cell in plan if cell.dev) == "mixture"
    assert len(plan) == 3 * (3 * 2 + 3 * 3 * 8) + 3


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((["maths"], ["top"], [0.1]), "no dev set is called maths; there are mixture, gsm8k, english"),
        ((["english"], ["top", "top"], [0.1]), "top, top: give one name or more, and each once"),
        ((["english"], [], [0.1]), "nothing: give one name"),
        ((["english"], ["top"], [1.0]), "a share is above 0 and below 1; the whole pool is the method full"),
    ],
)
def test_a_plan_that_cannot_be_is_one_line(asked: tuple[list[str], list[str], list[float]], said: str) -> None:
    with pytest.raises(ShedError, match=re.escape(said)):
        cells(*asked, (1,))


def rows_of(source: str, count: int) -> list[Record]:
    return [single_turn(f"{source} asks {n}?", "word " * (n % 5 + 1), source, f"row {n}") for n in range(count)]


@pytest.fixture
def sources() -> dict[str, list[Record]]:
    return {"gsm8k": rows_of("gsm8k", 60), "code": rows_of("code", 40), "english": rows_of("english", 30)} | {
        "tools": [*rows_of("tools", 8), *(replace(one, source="tools") for one in rows_of("gsm8k", 3))],
        QUESTIONS: [*rows_of("gsm8k", 2), *rows_of(QUESTIONS, 9)],
    }


def test_no_prompt_stands_in_two_splits_and_the_pool_is_even_over_sources(sources: dict[str, list[Record]]) -> None:
    found = split(sources, Sizes(40, 6, 3, 5), 1, lambda record: not record.prompt.endswith("7?"))
    rated = [record for own in found.rated.values() for record in own]
    every = [*found.pool, *rated, *found.dev, *found.test, *found.questions]
    assert len({prompt_key(record) for record in every}) == len(every) == 40 + 3 * 6 + 3 * 3 + 3 * 3 + 5
    assert not any(record.prompt.endswith("7?") for record in every)
    counts = found.counts()
    assert list(counts["dev"]) == sorted(OF_DEV)
    assert set(counts["test"]) == {"gsm8k", "code", "english"}  # a source of few rows is in the pool alone
    assert 7 <= counts["pool"]["tools"] <= 10
    assert max(counts["pool"].values()) - min(own for name, own in counts["pool"].items() if name != "tools") <= 1
    assert split(sources, Sizes(40, 6, 3, 5), 1, lambda _: True) == split(sources, Sizes(40, 6, 3, 5), 1, lambda _: True)
    assert (
        split(sources, Sizes(40, 6, 3, 5), 2, lambda _: True).pool != split(sources, Sizes(40, 6, 3, 5), 1, lambda _: True).pool
    )


def test_each_dev_set_is_rated_by_as_many_rows_and_measured_on_others(sources: dict[str, list[Record]]) -> None:
    found = split(sources, Sizes(20, 6, 3, 5), 1, lambda _: True)
    assert {dev: len(found.rated_for(dev)) for dev in DEV_SETS} == {"mixture": 6, "gsm8k": 6, "english": 6}
    assert [one.source for one in found.rated_for("mixture")] == [*("gsm8k",) * 2, *("code",) * 2, *("english",) * 2]
    assert not {one.id for one in found.rated_for("gsm8k")} & {one.id for one in found.dev}


def test_too_few_rows_are_one_line(sources: dict[str, list[Record]]) -> None:
    with pytest.raises(ShedError, match=r"english has 30 rows that the context holds, and dev takes 33; ask for fewer"):
        split(sources, Sizes(20, 30, 3, 5), 1, lambda _: True)
    with pytest.raises(ShedError, match=r"the sources have \d+ rows for the pool, which is to have 900; ask for fewer"):
        split(sources, Sizes(900, 6, 3, 5), 1, lambda _: True)
    del sources["code"]
    with pytest.raises(ShedError, match=r"there are no rows of code, which dev sets are made of; there are gsm8k, english"):
        split(sources, Sizes(20, 6, 3, 5), 1, lambda _: True)


def test_the_recipe_names_whole_commits_of_the_hub_and_is_read_as_the_folder_is(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None, str, str]] = []

    def load_dataset(name: str, *, name_: str | None = None, **about: Any) -> Dataset:
        asked.append((name, about.pop("config", None), about["split"], about["revision"]))
        return Dataset.from_list([{"instruction": f"Say {len(asked)}", "input": "", "output": "so"}] * 2)

    monkeypatch.setattr("datasets.load_dataset", lambda path, *, name, **about: load_dataset(path, config=name, **about))
    recipe = read_recipe(project_root / HUB)
    assert {source.name for source in recipe.sources} == set(FILES) - {"tool_reasoning"}
    assert all(isinstance(source, UserSource) and source.licence for source in recipe.sources)
    found = read_sources(str(project_root / HUB), SETTINGS)
    assert list(found) == [source.name for source in recipe.sources]
    assert [(one[0], one[2]) for one in asked if one[0] == "openai/gsm8k"] == [
        ("openai/gsm8k", "train"),
        ("openai/gsm8k", "test"),
    ]
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for *_, commit in asked)


def test_a_folder_without_the_files_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match=r"holds none of gsm8k_train\.jsonl, .*; give a folder that does, or a recipe"):
        read_sources(str(tmp_path), SETTINGS)
    with pytest.raises(ShedError, match=r"lost: neither a folder nor a recipe; give a folder with gsm8k_train\.jsonl"):
        read_sources(str(tmp_path / "lost"), SETTINGS)


@pytest.fixture
def folder(project_root: Path, tmp_path: Path, tiny_model: str, tiny_embedder: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of short files, and settings with which a tiny model is rated by in a moment; the working folder is theirs."""
    monkeypatch.chdir(tmp_path)
    texts = {name: [(f"{name} {n}?", f"w{n} " * (n % 4 + 1)) for n in range(24)] for name in FILES}
    for name, file in FILES.items():
        keys = ("question", "answer") if file.endswith("jsonl") else ("instruction", "output")
        rows = [
            dict(zip(keys, (asked, f"#### {n}" if name == QUESTIONS else said), strict=True))
            for n, (asked, said) in enumerate(texts[name])
        ]
        (write_jsonl if file.endswith("jsonl") else write_json)(f"rows/{file}", rows)
    yaml = YAML()
    params = yaml.load((project_root / "shed/cli/making/template/params.yaml").read_text(encoding="utf-8"))
    params["C"] = 4
    params["model"] |= {"name": tiny_model, "max_tokens": 128}
    params["embed"]["model"] = tiny_embedder
    params["rate"]["warm_rows"] = 8
    params["regime"] |= {"depth": 1, "epochs": 1, "batch_size": 4}
    params["finetune"]["epochs"] = 1
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    return tmp_path


@pytest.fixture
def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[Record]]:
    """The rows of each run that is made; each of gsm8k takes a tenth of a nat away."""
    runs: list[list[Record]] = []

    def finetune(rows: Sequence[Record], *about: Any) -> None:
        runs.append(list(rows))

    def evaluate(_: Any, adapter: Path | None, splits: Mapping[str, Sequence[Record]], *about: Any) -> pd.DataFrame:
        rng = np.random.default_rng(len(runs))
        gain = 0.1 * sum(one.source == "gsm8k" for one in runs[-1]) if adapter is not None else 0.0
        rows = [(f"{split}_{one.source}", one.id, 3 - gain, 1.0, np.nan) for split, own in splits.items() for one in own]
        rows += [("test_questions", f"questions/{n}", np.nan, np.nan, float(n == 0 and gain > 0.1)) for n in range(2)]
        items = pd.DataFrame(rows, columns=["task", "id", "nats", "tokens", "written"])
        return items.assign(nats=items["nats"] + rng.normal(0, 1e-3, len(items)), correct=np.nan, choice_nats=np.nan)

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    return runs


def asked(module: str, *arguments: str) -> None:
    """`python -m experiments.realistic.MODULE` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [module, *arguments])
        runpy.run_module(f"experiments.realistic.{module}", run_name="__main__")


def study(*arguments: str) -> None:
    asked("study", "rows", "--params", "params.yaml", *SMALL, *arguments)


def test_a_study_that_is_stopped_goes_on_and_its_tables_say_what_is_missing(
    made: list[list[Record]], capsys: pytest.CaptureFixture[str]
) -> None:
    most = ("--dev", "gsm8k", "--methods", "random", "top", "longest", "bm25", "qocs", "top_per_token", "--shares", "0.1")
    study(*most, "--hours", "0")
    told = capsys.readouterr()
    assert made == []  # the untuned model is evaluated, and no run begins
    assert re.search(r"shed: 18 of 18 runs are left: about [\d.]+ processor hours, and [\d.]+ for signals", told.err)
    assert "0 hours are over" in told.err
    assert "not all seeds yet: any.random-0.1: 0 of 3, gsm8k.top-0.1: 0 of 3" in told.out
    study(*most)
    assert {len(rows) for rows in made} == {4}
    assert len(made) <= 18  # those with the same rows and seed are made once
    assert "0 of 18 runs are left" in capsys.readouterr().err
    lengths = [len(record.response) for record in made[6]]
    assert lengths == sorted(lengths, reverse=True)  # longest
    found = read_json("found/results.json")
    assert (found["runs_planned"], found["runs_made"], found["missing"]) == (18, 18, [])
    (bm25,) = [row for row in found["dev_sets"]["gsm8k"]["dev"] if row["method"] == "bm25"]
    assert bm25["seeds"] == 3
    assert bm25["loss_gain_low"] < bm25["loss_gain"] < bm25["loss_gain_high"]
    assert {row["task"] for row in found["dev_sets"]["gsm8k"]["by_task"]} > {"gsm8k", "questions"}
    assert set(found["signals"]) == {"any.longest", "gsm8k.bm25", "gsm8k.rating"}
    assert found["untuned"]["test_questions"] == {"exact_match": 0.0}
    before = len(made)
    study("--dev", "gsm8k", "english", "--methods", "random", "top", "--shares", "0.1", "0.2", "--seeds", "1")
    assert len(made) == before + 1 + 1 + 2  # random and top of the new share, and top of the other dev set at both
    asked("table", "found", "--split", "by_task")
    told = capsys.readouterr()
    assert "selected for english; test, code alone: gains over as many random rows" in told.out
    assert "processor minutes of signals: any.longest" in told.out
    asked("results", "found")
    assert read_json("found/results.json")["runs_made"] == 22
    assert len(pd.read_csv("found/gains.csv")) > 20


def test_selections_from_elsewhere_are_runs_like_the_others(made: list[list[Record]]) -> None:
    most = ("--dev", "gsm8k", "--shares", "0.1", "--seeds", "1", "--methods", "random")
    study(*most)
    ids = [record.id for record in made[0]]
    write_text("less.txt", "\n".join(ids))
    study(*most, "less=less.txt")
    assert [record.id for record in made[-1]] == ids[:4]
    (less,) = [row for row in read_json("found/results.json")["dev_sets"]["gsm8k"]["test"] if row["method"] == "less"]
    assert less["loss_gain"] == pytest.approx(0.0, abs=1e-6)  # the same rows: it is the same run
    assert json.loads(Path("found/runs.json").read_text())["gsm8k.less-0.1-1"]["same_as"] == "any.random-0.1-1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dev", "gsm8k", "english", "--methods", "peer=params.yaml"], r"peer: a selection from a file is for one dev set"),
        (["--methods", "peer=lost.txt"], r"peer=lost\.txt: no such file, or no name of its own; give a selection as NAME=FILE"),
        (["--methods", "top=params.yaml"], r"top=params\.yaml: no such file, or no name of its own"),
        (
            ["--dev", "gsm8k", "--methods", "random", "qocs_on_shapley"],
            r"qocs_on_shapley: Shapley scores and tested tasks are not",
        ),
        (
            ["--dev", "gsm8k", "--methods", "random", "best"],
            r"no method is called best; there are random, full, top, qocs, qwcs",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(made: list[list[Record]], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=said) as ended:
        study(*arguments)
    assert "\n" not in str(ended.value)
    assert made == []


def test_results_of_other_rows_are_not_mixed_with_these(made: list[list[Record]]) -> None:
    most = ("--dev", "gsm8k", "--methods", "random", "--shares", "0.1", "--seeds", "1")
    study(*most)
    with pytest.raises(SystemExit, match=r"found/study\.json: has results of other sizes, records; name another folder"):
        study(*most, "--items", "2")
    write_text("params.yaml", Path("params.yaml").read_text(encoding="utf-8").replace("warm_rows: 8", "warm_rows: 9"))
    with pytest.raises(SystemExit, match="has results of other signals; name another folder"):
        study(*most)


def test_what_another_pool_has_left_in_the_scratch_folder_is_not_read(made: list[list[Record]]) -> None:
    for sizes in (("40", "found"), ("30", "other")):
        study("--dev", "gsm8k", "--methods", "qocs", "--seeds", "1", "--pool-rows", sizes[0], "--results", sizes[1])
    assert {len(np.load(path)) for path in Path("scratch").glob("*/embeddings.npy")} == {40, 30}


def test_tables_of_no_study_are_one_line(tmp_path: Path) -> None:
    for module in ("table", "results"):
        with pytest.raises(SystemExit, match=r"experiments\.realistic\.study WHERE` (writes it|makes some)"):
            asked(module, str(tmp_path))


@pytest.mark.slow
def test_a_tiny_model_is_rated_tuned_and_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = ("random", "in_run", "rds")
    study("--dev", "mixture", "--methods", *methods, "--shares", "0.1", "--seeds", "1")
    found = read_json("found/results.json")
    assert {row["method"] for row in found["dev_sets"]["mixture"]["test"]} == set(methods)
    assert all(0 <= row["generation"] <= 1 for row in found["dev_sets"]["mixture"]["test"])
    assert set(found["signals"]) == {f"mixture.{name}" for name in ("in_run", "rds")}
    assert "processor minutes of a run by its share: untuned" in capsys.readouterr().out
