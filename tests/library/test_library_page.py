"""The page about the library is a notebook that runs, with the default settings; models are small here."""

import re
from pathlib import Path
from typing import Any

import pytest

from shed import library
from shed.common.atomic_io import write_jsonl
from shed.models import checks, loading

PAGE = Path(__file__).parents[2] / "docs/library.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
VERBS = ("rate", "cluster", "score", "select", "verdict")


def test_each_verb_has_an_example_and_each_result_a_line() -> None:
    code, text = "\n".join(BLOCKS), PAGE.read_text(encoding="utf-8")
    assert all(f"selector.{verb}(" in code for verb in VERBS)
    assert all(f"`{name}`" in text for name in library.__all__)


@pytest.mark.slow
def test_the_page_runs_as_one_notebook(
    pool: list[dict[str, Any]],
    dev: list[dict[str, Any]],
    test: list[dict[str, Any]],
    tiny_model: str,
    tiny_embedder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = {"packaged/smollm2-135m-instruct": tiny_model, "packaged/all-minilm-l6-v2": tiny_embedder}
    for module in (loading, checks):
        monkeypatch.setattr(module, "locate", small.__getitem__)
    monkeypatch.setattr(
        loading, "_convert", lambda *_: None
    )  # else the small one, no packaged model, is made again from its wheel
    monkeypatch.chdir(tmp_path)
    for split, rows in {"pool": pool, "dev": dev, "test": test}.items():
        write_jsonl(f"my_{split}.jsonl", rows)
    notebook: dict[str, Any] = {}
    for number, block in enumerate(BLOCKS, start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), notebook)
    assert len(notebook["tune_on"]) == 12
    assert notebook["verdict"].sentence.startswith("On test, the selection is ")
    assert len(notebook["mine"]) == 12
    assert notebook["quick"].settings.rate.warm_rows == 12
    assert Path("kept/ledger.sqlite").is_file()
