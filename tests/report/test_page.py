"""The report as a reader meets it: numbers of the metrics files, text that stays text, and a page that works without a network."""

import html
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browser import BROWSER, opened
from report_inputs import EVIL, JUDGED, LENGTHS, inputs

from shed.report.page import render

FAULTY = {"rows": 10, "faulty_share_of_pool": 0.5, "faulty_share_of_selection": 0.05, "faulty_share_of_random": 0.52}
FAULTY |= {"auroc_of_scores": 0.99, "auroc_of_ratings": 0.25, "auroc_of_ratings_within_sources": 0.63}
FAULTY |= {"lengths": LENGTHS, "left_out_as_too_long": 0, "left_out_by_prompt_fit": 0}


def test_numbers_are_those_of_the_metrics_files() -> None:
    shown = inputs()
    marked = re.findall(r'data-metric="([^#"]+)#([^"]+)" data-form="([^"]*)">([^<]*)<', render(shown))
    assert len(marked) > 60
    for path, keys, form, text in marked:
        value: Any = shown.metrics[path]
        for key in keys.split("/"):
            value = value[key]
        assert html.unescape(text) == (value if isinstance(value, str) else format(value, form))


def test_the_judges_verdict_is_shown_where_there_was_a_judge() -> None:
    assert re.search(r"win rate of <[^>]*>0\.67</span>", render(inputs()))
    shown = inputs()
    shown.metrics["metrics/judge.json"] = {**JUDGED, "judged": 0, "win_rate": None}
    assert "judge" not in render(shown)


def test_the_verdict_is_the_first_line_and_gains_have_intervals_by_control_and_task() -> None:
    page = render(inputs())
    heading = re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)
    assert heading
    assert "not shown to be better than random rows" in heading[1]
    assert re.search(r'against.*test.*"metrics/verdict.json#random_rows/test/all/loss/gain"[^>]*>\+0\.04<', page, re.DOTALL)
    assert '"metrics/verdict.json#random_rows/test/essay/loss/low"' in page
    assert page.count("no options") > 0
    assert '"metrics/verdict.json#random_rows/test/essay/generation/high"' in page
    assert page.count("not written") > 0


def test_what_is_written_has_columns_where_something_is() -> None:
    shown = inputs()
    page = " ".join(re.sub("<[^>]*>", " ", render(shown)).split())
    assert "test_essay 10 2.10 → 2.10 +2.10 ± 0.10 no options no options 0.250 → 0.250 of 5 +0.250 ± 0.040" in page
    tasks, written = shown.metrics["metrics/tasks.json"], ("generation", "generation_stderr", "written")
    for of in tasks.values():
        of["test_essay"] = {key: value for key, value in of["test_essay"].items() if key not in written}
    page = render(shown)
    assert "generation" not in page
    assert "not written" not in page


def test_a_task_that_is_scored_by_what_is_written_alone_has_no_loss() -> None:
    shown = inputs()
    written = {"generation": 0.25, "generation_stderr": 0.04, "written": 10, "items": 10}
    for of in shown.metrics["metrics/tasks.json"].values():
        of["test_gsm8k"] = written
    page = " ".join(re.sub("<[^>]*>", " ", render(shown)).split())
    assert "test_gsm8k 10 no loss no options no options 0.250 → 0.250 of 10 +0.250 ± 0.040" in page


def test_without_a_verdict_the_page_says_that_one_run_shows_nothing() -> None:
    shown = inputs()
    shown.metrics["metrics/verdict.json"] = {
        "sentence": "not tested, since verdict.seeds is 0; one run cannot show it.",
        "seeds": 0,
    }
    page = render(shown)
    assert "one run cannot show it" in page
    assert "Against random rows" not in page


def test_text_of_records_is_text() -> None:
    page = render(inputs())
    assert EVIL not in page
    assert html.escape(EVIL[:20], quote=False) in page
    assert page.count("<script>") == 1
    assert "CC &lt;0&gt;" in page


def test_known_faults_are_shown_by_sampler() -> None:
    shown = inputs()
    assert "Known faults" not in render(shown)
    shown.metrics["metrics/sample.json"] = FAULTY
    page = " ".join(re.sub("<[^>]*>", " ", render(shown)).split())
    assert "50.0% of the pool's records were damaged on purpose" in page
    assert "this run 5.0% random 52.0%" in page
    assert "of its own source, 0.63" in page


def test_what_was_not_to_be_selected_is_told_with_its_reason() -> None:
    page = " ".join(re.sub("<[^>]*>", " ", render(inputs())).split())
    assert "3 records of the pool were not to be selected, since they are longer than the context" in page
    assert "2 records of the pool were not to be selected, since their responses fit their prompts worse" in page
    shown = inputs()
    shown.metrics["metrics/sample.json"] = FAULTY
    assert "were not to be selected" not in render(shown)


def test_pictures_are_described_and_headings_nest() -> None:
    page = render(inputs())
    figures = re.findall(r"<figure><svg [^>]*>", page)
    assert len(figures) == 5
    assert all('role="img" aria-label="' in figure for figure in figures)
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_in_a_browser_without_a_network(tmp_path: Path, width: int) -> None:
    page = tmp_path / "index.html"
    page.write_text(render(inputs()), encoding="utf-8")

    def open_at(fragment: str) -> str:
        return opened(page, tmp_path / "profile", fragment, width)

    def visible(dom: str) -> list[str]:
        body = dom[dom.index('<table id="table">') :]
        rows = re.findall(r"<tr ([^>]*data-cluster[^>]*)>", body[: body.index("</table>")])
        return [re.findall(r'data-cluster="(\d+)"', row)[0] for row in rows if "hidden" not in row]

    dom = open_at("")
    assert "<title>shed: what was selected, and what it did</title>" in dom
    assert visible(dom) == ["2", "0", "3", "1"]
    assert visible(open_at("sort=score&order=ascending")) == ["1", "3", "0", "2"]
    assert visible(open_at("search=" + quote("question 21"))) == ["2"]
    assert 'title="metrics/tuned.json#test_loss"' in dom


def test_the_committed_metrics_have_what_the_page_shows(project_root: Path) -> None:
    for path in inputs().metrics:
        assert json.loads((project_root / path).read_text(encoding="utf-8"))


def test_what_is_split_off_the_pool_is_told_and_that_it_speaks_of_no_other_task() -> None:
    given = inputs()
    assert "were split off" not in render(given)
    card = given.metrics["metrics/data.json"]
    card["pool"] = {**card["pool"], "split_off": {"dev": 1234}}
    assert "There was no dev" in render(given)
    assert 'data-metric="metrics/data.json#pool/split_off/dev" data-form=",d">1,234</span>' in render(given)
    assert "no other task" not in render(given)
    card["pool"]["split_off"] = {"test": 5}
    assert "test is of the pool's own distribution: what is gained there says nothing of other tasks" in render(given)


def test_how_rows_were_selected_is_said_and_what_it_means_if_that_was_at_random() -> None:
    at_random = render(replace(inputs(), params=[("sampler", "random", "how rows are selected")]))
    assert "They are random rows themselves" in at_random
    by_ratings = render(replace(inputs(), params=[("sampler", "top", "how rows are selected")]))
    assert "by the sampler <code>top</code>" in by_ratings
    assert "random rows themselves" not in by_ratings
