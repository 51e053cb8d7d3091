"""What stands between markers is written from committed results, and a marker that cannot be is one clear error."""

import json
import sys
from pathlib import Path

import pytest
from markdown_page import PAGES

from tools.doc_tables import __main__ as program
from tools.doc_tables import pipeline, values
from tools.doc_tables.pages import BLOCKS, renewed, typed
from tools.doc_tables.pipeline import reduced
from tools.doc_tables.values import written


def test_a_number_is_written_as_its_marker_asks(project_root: Path) -> None:
    halves = json.loads((project_root / "experiments/valuation/halves.json").read_text(encoding="utf-8"))
    found = halves["target"]["shapley"]
    value, low, high = (found[key] for key in ("lds", "lds_low", "lds_high"))
    path = "valuation/halves/target/shapley/lds"
    assert written(f"{path} as .2f") == f"{value:.2f}"
    assert written(f"{path} as interval .2f") == f"{value:.2f} [{low:.2f}, {high:.2f}]"
    assert written(f"{path} as minus interval +.1f") == f"{-value:+.1f} [{-high:+.1f}, {-low:+.1f}]"
    assert written("metrics/tasks/base/dev_commonsenseqa/items as .0f") == "80"
    kept = json.loads((project_root / "benchmarks/long_tuning.json").read_text(encoding="utf-8"))["bytes_of_all_states"]
    assert written("benchmarks/long_tuning/bytes_of_all_states as giga .1f") == f"{kept / 1e9:.1f}"


def test_a_text_is_written_as_it_stands(project_root: Path) -> None:
    ended = json.loads((project_root / "metrics/score.json").read_text(encoding="utf-8"))["ended"]
    text = "It ended: <!-- n: metrics/score/ended as text --><!-- end -->\n"
    assert renewed(text, "page.md") == f"It ended: <!-- n: metrics/score/ended as text -->{ended}<!-- end -->\n"


def test_what_a_stage_has_not_measured_yet_is_said_and_then_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "ROOT", tmp_path)
    monkeypatch.setattr(values, "ROOT", tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {last: {metrics: [metrics/due.json: {cache: false}]}}\n", encoding="utf-8")
    page = "Said: <!-- n: metrics/due/sentence as text --><!-- end -->, by <!-- n: metrics/due/gain as .1f --><!-- end -->.\n"
    page = renewed(page, "page.md")
    assert page.count("not measured yet") == 2
    assert renewed(page, "page.md") == page
    with pytest.raises(ValueError, match=r"^page.md: .*undue"):
        renewed("Said: <!-- n: metrics/undue/sentence as text --><!-- end -->.\n", "page.md")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/due.json").write_text('{"sentence": "It is better", "gain": 0.51}', encoding="utf-8")
    assert typed(renewed(page, "page.md")) == typed(page)
    assert "-->It is better<!-- end -->, by <!-- n: metrics/due/gain as .1f -->0.5<!--" in renewed(page, "page.md")


def test_rows_are_found_by_what_stands_in_their_cells() -> None:
    one = written("compare/test/top-0.1/loss_gain as .6f")
    assert one != written("compare/test/top-0.05/loss_gain as .6f")
    assert written("compare/by_task/mmlu/top-0.1/loss_gain as .1f") == "-0.2"
    with pytest.raises(KeyError, match="nothing stands at 'tops-0.1'"):
        written("compare/test/tops-0.1/loss_gain as .2f")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- table: no such -->\n<!-- end of table -->\n", "there is no block 'no such'"),
        ("<!-- table: costs of methods -->\n\n| a |\n", "a marker without its other end"),
        ("It is <!-- n: metrics/score/fte as .0f -->10.\n", "a marker without its other end"),
        ("It is <!-- n: metrics/no_such/fte as .0f -->10<!-- end -->.\n", "no_such"),
        ("It is <!-- n: metrics/score/no_such as .0f -->10<!-- end -->.\n", "no_such"),
        ("It is <!-- n: metrics/score/fte -->10<!-- end -->.\n", "is not of the form PATH as"),
        ("It is <!-- n: metrics/score/ended as .2f -->10<!-- end -->.\n", "not a number"),
        ("It is <!-- n: metrics/score/fte as text -->10<!-- end -->.\n", "not one line of text"),
        ("<!-- n: metrics/score/fte as .0f -->10<!-- end --> FTE.\n", "a line that begins with a marker"),
    ],
)
def test_a_marker_that_cannot_be_written_is_named_with_its_page(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^page.md: .*{said}"):
        renewed(text, "page.md")


def test_fences_and_code_spans_stay_as_they_are() -> None:
    text = "`<!-- n: NAME -->`\n\n```text\n<!-- table: NAME -->\n<!-- end of table -->\n```\n"
    assert renewed(text, "page.md") == text


def test_what_was_typed_is_all_but_fences_and_markers() -> None:
    text = "One <!-- n: metrics/score/fte as .0f -->9.9<!-- end --> two.\n\n<!-- table: x -->\n1.5\n<!-- end of table -->\n"
    assert typed(f"{text}\n```\n2.5\n```\n").split() == ["One", "two."]


def test_stale_pages_are_named_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    page = tmp_path / "README.md"
    page.write_text("It took <!-- n: metrics/score/players as .0f -->1<!-- end -->.\n", encoding="utf-8")
    (tmp_path / "FRESH.md").write_text("Nothing.\n", encoding="utf-8")
    monkeypatch.setattr(program, "ROOT", tmp_path)
    for arguments, code, said in (
        (["--check"], 1, "README.md: stale: run make docs\n"),
        ([], 0, "README.md: written\n"),
        (["--check"], 0, ""),
    ):
        monkeypatch.setattr(sys, "argv", ["doc_tables", *arguments])
        with pytest.raises(SystemExit) as ended:
            program.main()
        assert ended.value.code == code
        assert capsys.readouterr().out == said
    assert "-->32<!--" in page.read_text(encoding="utf-8")


def test_every_block_stands_on_a_page() -> None:
    texts = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in BLOCKS if f"<!-- table: {name} -->" not in texts] == []


def test_arrows_that_follow_from_others_are_left_out() -> None:
    assert reduced({"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": {"c"}}) == {
        "a": {"b", "d"},
        "b": {"c"},
        "c": set(),
        "d": {"c"},
    }
