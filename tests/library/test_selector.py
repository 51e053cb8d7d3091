"""A notebook's story: rows go in as they are, and come out selected, with reasons, numbers and a verdict."""

import gc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

import shed
from shed import Selector
from shed.common.errors import ShedError
from shed.evaluation.verdict import Against, Gain, Verdict
from shed.library import measured
from shed.library.results import verdict_result

Rows = list[dict[str, Any]]


@pytest.fixture
def selector(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> Selector:
    return Selector(pool, dev, test, **small)


def test_the_best_rated_rows_come_back_as_they_were_given(selector: Selector, pool: Rows) -> None:
    ratings, selection = selector.rate(), selector.select()
    best = ratings.table.nlargest(6, "rating", keep="first")
    assert selection.table["id"].tolist() == best["id"].tolist()
    assert selection.table["rating"].tolist() == best["rating"].tolist()
    assert [id(row) for row in selection.rows] == [id(pool[place]) for place in selection.table["row"]]
    assert [pool[row]["source"] for row in ratings.table["row"]] == ratings.table["source"].tolist()
    assert selection.table["reason"].str.startswith("rated ").all()
    assert len(selection) == selection.metrics["rows"] == 6


def test_what_verbs_will_take_is_told_before_they_are_called(selector: Selector) -> None:
    plan = selector.plan()
    assert plan.table["verb"].tolist() == ["rate", "score", "verdict"]
    assert (plan.table["seconds"] > 0).all()
    assert not plan.table["computed"].any()
    said = r"PlanResult: about \d+ s for all that was not computed yet \(rate \d+ s, score \d+ s, verdict \d+ s\)"
    assert re.match(said, " ".join(repr(plan).split()))
    assert "A forecast, which may be off by a quarter" in repr(plan)
    selector.rate()
    assert selector.plan().table["computed"].tolist() == [True, False, False]


def test_rows_of_a_dataset_come_back_as_a_dataset_and_are_the_same(
    selector: Selector, pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]
) -> None:
    of_dataset = Selector(Dataset.from_list(pool), Dataset.from_list(dev), Dataset.from_list(test), **small).select()
    assert isinstance(of_dataset.rows, Dataset)
    assert of_dataset.rows.column_names == ["instruction", "output", "source", "id"]
    assert list(of_dataset.rows) == selector.select().rows


def test_ratings_alone_need_no_embedder(selector: Selector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "embed_to", lambda *_: pytest.fail("embedded"))
    assert selector.select("random").table.columns.tolist() == ["row", "id", "source", "reason"]
    selection = selector.select("top")
    assert selection.table.columns.tolist() == ["row", "id", "source", "rating", "reason"]
    assert {"clusters", "score_mean"}.isdisjoint(selection.metrics)
    monkeypatch.undo()
    selector.score()
    later = selector.select("top")
    assert later.table.columns.tolist() == ["row", "id", "source", "rating", "cluster", "score", "reason"]
    assert later.table[selection.table.columns.tolist()].equals(selection.table)
    assert later.metrics["clusters"] == later.table["cluster"].nunique()


def test_what_was_measured_is_not_measured_again(selector: Selector, monkeypatch: pytest.MonkeyPatch) -> None:
    first = selector.rate()
    monkeypatch.setattr(measured, "rate", lambda *_: pytest.fail("rated again"))
    assert selector.rate() is first
    selector.select(rows=3)


def test_each_selection_may_have_settings_of_its_own(selector: Selector) -> None:
    assert len(selector.select(rows=2)) == 2
    assert len(selector.select(fraction=0.5)) == 12
    assert len(selector.select("full")) == 24
    assert abs(selector.select("random", tokens=40).metrics["lengths"]["response_tokens"] - 40) < 12
    by_cluster = selector.select("random", balance="cluster", floor=1.0)
    assert by_cluster.table["cluster"].nunique() == 4
    by_length = selector.select("random", rows=8, balance="length", floor=1.0)
    assert by_length.table["reason"].str.contains("that the floor keeps of responses of").all()
    best = selector.select("qocs", within="rating").table
    assert best["rating"].is_monotonic_decreasing or best["cluster"].nunique() > 1
    seeds = [selector.select("random", seed=seed).table["id"].tolist() for seed in (1, 1, 2)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert len(selector.select()) == 6  # as the settings have it


def test_a_selection_from_elsewhere_is_taken_from_its_file(selector: Selector, pool: Rows, tmp_path: Path) -> None:
    file = tmp_path / "theirs.txt"
    file.write_text("p3\ns4\np7\n")
    selection = selector.select("given", given=str(file), rows=3)
    assert [row["id"] for row in selection.rows] == ["p3", "s4", "p7"]
    assert selection.metrics["given_matched"] == 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"sampler": "best"}, "sampler is 'best'; it must be 'top', 'qocs', 'qwcs', 'random', 'full' or 'given'"),
        ({"rows": 99}, "99 rows are to be kept, but the pool has 24 that may be selected"),
        ({"rows": 2, "tokens": 9}, "set exactly one of sample.fraction, sample.rows and sample.tokens"),
        ({"rows": 0}, "sample.rows is 0; it must be greater than or equal to 1"),
        ({"balanse": "source"}, "select has no setting 'balanse'; did you mean 'balance'? it has budget, fraction, "),
        ({"C": 4}, "select has no setting 'C'; "),
        (
            {"sampler": "top", "within": "rating"},
            "sample.within is rating, but sampler top does not take rows by their clusters",
        ),
        ({"sampler": "given"}, "sampler given takes a selection from a file, but sample.given is null; name the file"),
    ],
)
def test_a_selection_that_cannot_be_made_is_one_line(selector: Selector, call: dict[str, Any], said: str) -> None:
    with pytest.raises(ShedError) as error:
        selector.select(**call)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_verdict_compares_with_random_rows_and_keeps_its_runs(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any], runs: list[Any], tmp_path: Path
) -> None:
    selector = Selector(pool, dev, test, folder=tmp_path / "kept", **small)
    sums = [record.id for record in selector.prepared.pool if record.source == "sums"]
    verdict = selector.verdict(sums[:6])
    assert verdict.better
    assert verdict.sentence.startswith("On test, the selection is better than random rows of the same number by 0.")
    assert "tune on this selection" in verdict.meaning
    row = verdict.table[(verdict.table["control"] == "random_rows") & (verdict.table["task"] == "all")].set_index("split")
    gain = verdict.metrics["random_rows"]["test"]["all"]["loss"]
    assert row.loc["test", ["gain", "low", "high"]].tolist() == [gain["gain"], gain["low"], gain["high"]]
    assert {seed for _, seed in runs} == {1, 2, 3}
    paid = len(runs)
    again = Selector(pool, dev, test, folder=tmp_path / "kept", **small)
    assert again.verdict(sums[:6]).metrics == verdict.metrics
    assert len(runs) == paid
    assert len(again.verdict(sums[:6], seeds=4).verdict.seeds) == 4
    assert {seed for _, seed in runs[paid:]} == {4}


def test_what_has_no_verdict_is_said_in_a_line(selector: Selector, runs: list[Any]) -> None:
    ids = selector.select().table["id"].tolist()
    for asked, said in (
        (["nobody", *ids], "1 of the 7 selected ids are of no record of this pool; the first is 'nobody'"),
        ([*ids, ids[0]], "has a record twice"),
        ([], "is empty"),
        (selector.select("full"), "the selection is all that may be selected"),
    ):
        with pytest.raises(ShedError, match=said):
            selector.verdict(asked)
    with pytest.raises(ShedError, match="the verdict is off, since it has no seeds"):
        selector.verdict(ids, seeds=0)
    with pytest.raises(ShedError, match=r"verdict.*is 2; an interval needs at least 3"):
        selector.verdict(ids, seeds=2)
    assert runs == []


def test_without_dev_and_test_some_of_the_pool_are_set_aside(pool: Rows, small: dict[str, Any]) -> None:
    own = Selector(pool, **small, data={"dev_rows": 4, "test_rows": 5}).prepared
    assert (len(own.pool), len(own.dev), len(own.test)) == (15, 4, 5)
    ids = [record.id for split in (own.pool, own.dev, own.test) for record in split]
    assert len(set(ids)) == 24


def test_rows_that_the_context_cuts_are_told_and_left_out(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    longer = [row | {"instruction": f"{row['instruction']} if you please"} for row in pool[:18]]
    selector = Selector([*longer, *pool[18:]], dev, test, **small, **{"model.max_tokens": 56})
    assert repr(selector).endswith("pool: 75% of the records are longer than the context of 56 tokens and are cut; raise it")
    fitting = selector.select("random", fraction=1.0)
    assert sorted(fitting.table["row"]) == list(range(18, 24))
    assert "18 left out, since they are longer than the context" in " ".join(repr(fitting).split())
    assert len(selector.select("full")) == len(selector.select("random", fraction=1.0, too_long=True)) == 24


def test_long_responses_are_told_where_ratings_of_records_would_select_them(
    pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]
) -> None:
    longer = [row | {"output": f"{row['output']} {'and on ' * 8}"} for row in pool]  # a token a byte
    told = r"pool: \d\d response tokens a record; ratings of whole records select the longest of such rows"
    assert re.search(told, repr(Selector(longer, dev, test, **small)))
    for changes in ({"rate.per": "token"}, {"sampler": "random"}):
        assert "ratings of" not in repr(Selector(longer, dev, test, **small, **changes))
    assert "ratings of" not in repr(Selector(pool, dev, test, **small))


def test_results_say_what_they_are(selector: Selector) -> None:
    assert repr(selector).startswith("Selector of records (pool 24, dev 4, test 4) for ")
    for result in (selector.rate(), selector.cluster(), selector.score(), selector.select()):
        lines = repr(result).splitlines()
        assert lines[0].startswith(f"{type(result).__name__}: ")
        assert max(map(len, lines)) <= 80
        assert len(lines) <= 3 + 8 + 3  # the headline, a table of eight rows, and a note
    assert "note: one pair of runs" in repr(selector.score())
    assert repr(selector.rate()).endswith("… and 16 more in .table")


def test_what_rows_say_is_no_markup(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    page = Selector([row | {"source": "<b>"} for row in pool], dev, test, **small).select("random")._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    gains = {task: {"loss": Gain(-0.5, -0.6, -0.4)} for task in ("all", "<b>")}
    worse = verdict_result(Verdict([1, 2, 3], 6, 60, {"random_rows": Against(6, 60, 0.1, {"test": gains, "dev": gains})}))
    assert "; on <b> it is worse by 0.50" in worse.sentence
    assert "<b>" not in worse._repr_html_()


def test_scratch_files_go_with_the_selector(pool: Rows, dev: Rows, test: Rows, small: dict[str, Any]) -> None:
    selector = Selector(pool, dev, test, **small)
    selector.score()
    folder = selector._inputs.folder
    assert (folder / "ledger.sqlite").is_file()
    del selector
    gc.collect()
    assert not folder.exists()


def test_the_package_is_imported_at_once_and_its_verbs_when_they_are_used() -> None:
    code = "import shed, sys; print(sorted({'torch', 'pandas', 'pydantic', 'datasets'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(shed.__all__) <= set(dir(shed))
    with pytest.raises(AttributeError, match="module 'shed' has no attribute 'Selecter'"):
        shed.Selecter  # noqa: B018
