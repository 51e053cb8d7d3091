"""Records that attack whatever shows them go through every stage, to the report in a browser and to the terminal."""

import importlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browser import BROWSER, opened
from ruamel.yaml import YAML
from small_project import SMALL, merge
from tqdm.std import tqdm

from benchmarks.tiny_model import tiny_model as save_tiny_model
from shed.cli.app import main as command
from shed.common.atomic_io import read_json
from stages import main

STAGES = (
    "fetch",
    "prepare",
    "embed",
    "quality",
    "lengths",
    "rate",
    "cluster",
    "score",
    "fidelity",
    "sample",
    "finetune",
    "export",
)
STAGES += ("evaluate_base", "evaluate", "verdict", "judge", "report")
TAKEN = "document.title = 'taken over'"
TEXTS = {
    "script": f"<script>{TAKEN}</script>",
    "handler": f'<img src=x onerror="{TAKEN}"><b onmouseover="{TAKEN}">',
    "svg": f'</svg></title></table><svg onload="{TAKEN}"><a href="javascript:{TAKEN}">a</a></svg>',
    "markdown": f"[a](javascript:{TAKEN}) ![b](http://nowhere.invalid/c.png) # | `d` ***",
    "template": "{{ 7 * 7 }} {% raw %} ${x} %s {0} [bold red]e[/] datum.x __proto__",
    "direction": "a\u202eb\u2066c\u200fd",
    "unseen": "a\U000e0001b\u00ad\ufeffc",
    "marks": "a" + "\u0301" * 100,
    "lines": "a\r\nb\u2028c\u2029\td",
    "word": "x" * 700,
    "endings": "]]> --> </textarea></style>&#0;&lt;&amp;",
    "formula": "=1+1|' /C f'!A0",
}
REFUSED = {
    "NUL": "a\0b",
    "escape": "a\x1b[31mb",
    "bell": "a\x07b",
    "C1": "a\x9b31mb",
    "none": "a\ufffeb",
    "surrogate": "a\ud800b",
}
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\U000e0001\ud800-\udfff]")
ROUNDS = 4  # records with each text in the pool


def rows(first: int, count: int) -> list[dict[str, str]]:
    """Records with each text in the prompt, the response and, where it is a single short line, the source."""
    return [
        {
            "prompt": f"{text} {n}?",
            "response": f"{n} {text}" if n % 2 else f"It is {n}.",
            "source": text if len(text.splitlines()) == 1 and len(text) < 200 else name,
        }
        for n in range(first, first + count)
        for name, text in TEXTS.items()
    ]


def refused() -> list[dict[str, str]]:
    good = {"prompt": "What?", "response": "That.", "source": "plain"}
    return [{**good, key: f"{text} {key}"} for text in REFUSED.values() for key in good]


@pytest.fixture
def folder(project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with hostile records in all three splits, and a tiny model."""
    model = save_tiny_model(tmp_path / "tiny", layers=3, positions=1024)
    yaml, root = YAML(), tmp_path / "project"
    root.mkdir()
    params: Any = yaml.load((project_root / "params.yaml").read_text(encoding="utf-8"))
    files = {split: f"{split}.jsonl" for split in ("pool", "dev", "test")}
    data = {**files, "pool_rows": None, "dev_rows": None, "test_rows": None, "max_rejects": 0.9}
    of_model = {"name": model, "max_tokens": 512}
    small = {
        **SMALL,
        "verdict": {"seeds": 3},
        "data": data,
        "model": of_model,
        "evaluate": {"limit": 1, "batch_size": 4, "written": {"limit": 1, "max_new_tokens": 8}},
    }
    merge(params, small)
    with (root / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    for name in ("dvc.yaml", "data/questions.jsonl"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(project_root / name, root / name)
    splits = {"pool": [*rows(0, ROUNDS), *refused()], "dev": rows(10, 1), "test": rows(20, 1)}
    for split, own in splits.items():
        (root / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in own), encoding="utf-8"
        )  # \ud800 is escaped
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    return root


@pytest.mark.slow
def test_hostile_records_reach_the_report_and_the_terminal_as_text(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = tqdm.__init__  # stages of a pipeline show no library's bars, but other tests may have imported it before
    monkeypatch.setattr(tqdm, "__init__", lambda bar, *values, **named: begin(bar, *values, **{**named, "disable": True}))
    pipeline = YAML(typ="safe").load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert set(STAGES) == set(pipeline)
    for stage in STAGES:
        main(importlib.import_module(f"stages.{stage}").run)
    card = read_json("metrics/data.json")["pool"]
    assert card["rejected"] == card["in"] - card["kept"] == 3 * len(REFUSED)
    assert card["kept"] == ROUNDS * len(TEXTS)
    assert set(card["kept_by_source"]) == {row["source"] for row in rows(0, 1)}
    selection = pd.read_parquet("data/selection.parquet")
    assert len(selection) == 4  # a tenth of those that are not too long
    for path in (folder / "data/export").rglob("*.jsonl"):
        assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    said = capfd.readouterr()
    assert not RAW.search(said.out + said.err)

    ids = pd.read_parquet("data/clusters.parquet")["id"].tolist()[::ROUNDS]
    places = [f"pool.jsonl:{card['kept'] + n + 1}" for n in range(0, 3 * len(REFUSED), 2)]
    for words in (["show", "--examples", "3"], *(["why", what] for what in [*ids, *places])):
        with pytest.raises(SystemExit) as ended:
            command(words)
        assert not ended.value.code
        printed = capfd.readouterr()
        assert not RAW.search(printed.out + printed.err), words

    page = folder / "reports/index.html"
    text = page.read_text(encoding="utf-8")
    assert f"<script>{TAKEN}" not in text
    if BROWSER is not None:
        dom = opened(page, folder / "profile")
        assert "<title>shed: what was selected, and what it did</title>" in dom
        assert 'onerror="document' not in re.sub(r"&lt;.*?&gt;", "", dom)
