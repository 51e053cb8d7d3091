"""`shed why`: a record's way; what is said that would have changed it is tried out."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from finished_project import DEV, POOL, floor_of, make_project, set_params, tables
from project_calls import call

from shed.cli.results.decision import Choice, decide
from shed.cli.results.pool_lines import rows_matching, rows_saying
from shed.params import Params
from shed.selection.candidates import candidates
from shed.selection.cluster_scores import ranked
from shed.selection.given.files import read_given
from shed.selection.given.order import order_of
from shed.selection.sampling import Size, select
from shed.settings.reading import reader_settings
from stages.shared.selecting import sample_size

TOKENS = {"sample.budget": "tokens", "sample.rows": None, "sample.tokens": 31}
CASES: dict[str, dict[str, Any]] = {
    "top": {},
    "top, tokens": TOKENS,
    "top per token": {**TOKENS, "rate.per": "token"},
    "top, floor": {"sample.balance": "source", "sample.floor": 0.8},
    "top, all floor": {"sample.balance": "cluster", "sample.floor": 1.0},
    "top, lengths": {"sample.balance": "length", "sample.floor": 1.0},
    "top, lengths of sources": {"sample.balance": "source_and_length", "sample.rows": 9, "sample.floor": 0.9},
    "qocs": {"sampler": "qocs"},
    "qocs by ratings": {"sampler": "qocs", "sample.within": "rating"},
    "qocs at random": {"sampler": "qocs", "sample.within": "random"},
    "qocs, tokens": {**TOKENS, "sampler": "qocs"},
    "random": {"sampler": "random"},
    "random, tokens": {**TOKENS, "sampler": "random"},
}


def table_of(params: Params, ratings: pd.DataFrame) -> pd.DataFrame:
    own = tables()
    return candidates(own["clusters"], own["lengths"], ratings, params.rate.per, params.sample.too_long)


def selected(params: Params, table: pd.DataFrame, scores: pd.DataFrame, size: Size) -> dict[str, str]:
    assert params.sampler != "given"
    sample, floor = params.sample, floor_of(params)
    made = select(table, scores, params.sampler, size, sample.f, sample.seed, floor, sample.within)
    return dict(zip(made["id"], made["reason"], strict=True))


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES.keys())
def test_what_would_have_changed_it_does(tmp_path: Path, changes: dict[str, Any]) -> None:
    params, own = set_params(tmp_path, changes), tables()
    table, scores = table_of(params, own["ratings"]), own["scores"]
    size = sample_size(params, table)
    made = selected(params, table, scores, size)
    tried = 0
    for place, id in enumerate(table["id"]):
        numbers = decide(Choice(params, table, scores, size, made), id).numbers
        if id in made:
            assert not {"rating_needed", "budget_needed", "cluster_score_needed"} & set(numbers)
            continue
        if (needed := numbers.get("rating_needed")) is not None:
            for change, taken in ((1e-9, True), (-1e-9, False)):
                changed = table["rating"].mask(table["id"] == id, needed + change)
                assert (id in selected(params, table.assign(rating=changed), scores, size)) == taken, (id, change)
        if (amount := numbers.get("budget_needed")) is not None:
            assert id in selected(params, table, scores, Size(amount, size.unit))
            assert id not in selected(params, table, scores, Size(amount - 1, size.unit))
        if (fraction := numbers.get("fraction_needed")) is not None:
            total = int(size.costs(table).sum())
            assert id in selected(params, table, scores, Size(round(total * fraction), size.unit))
        if (score := numbers.get("cluster_score_needed")) is not None:
            for change, taken in ((1e-9, True), (-1e-9, False)):
                better = scores["score"].mask(scores["cluster"] == table["cluster"].iloc[place], score + change)
                again = ranked(scores.drop(columns="rank").assign(score=better))
                assert (id in selected(params, table, again, size)) == taken, (id, change)
        tried += 1
    assert tried > 10


def test_no_rank_of_its_cluster_would_do_where_nearer_rows_use_up_the_budget(tmp_path: Path) -> None:
    params, own = set_params(tmp_path, {"sampler": "qocs", "sample.rows": 3}), tables()
    table, size = table_of(params, own["ratings"]), Size(3)
    made = selected(params, table, own["scores"], size)
    decision = decide(Choice(params, table, own["scores"], size, made), POOL[0].id)  # the farthest of its cluster's six
    assert decision.numbers["cluster_rank_needed"] is None
    best = ranked(own["scores"].drop(columns="rank").assign(score=[9.0 * (c == 0) for c in own["scores"]["cluster"]]))
    assert POOL[0].id not in selected(params, table, best, size)


def test_draws_by_score_tell_the_seed_and_the_chance(tmp_path: Path) -> None:
    params, own = set_params(tmp_path, {"sampler": "qwcs"}), tables()
    table, size = table_of(params, own["ratings"]), Size(6)
    made = selected(params, table, own["scores"], size)
    out = next(id for id in table["id"] if id not in made)
    numbers = decide(Choice(params, table, own["scores"], size, made), out).numbers
    first, reason = next(iter(made.items()))
    of_first = decide(Choice(params, table, own["scores"], size, made), first).numbers["cluster_probability"]
    assert f"drawn with probability {of_first:.3g}" in reason
    assert numbers["seed"] == params.sample.seed
    assert "budget_needed" not in numbers


def test_a_selection_from_elsewhere_tells_the_place_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("\n".join([POOL[7].id, *(record.id for record in POOL[10:20])]), encoding="utf-8")
    params, own = set_params(tmp_path, {"sampler": "given", "sample.given": str(file)}), tables()
    table = table_of(params, own["ratings"])
    order = order_of(read_given(file, reader_settings(params.data.reading)), POOL)
    choice = Choice(params, table, own["scores"], Size(6), {record.id: "" for record in POOL[10:16]}, order)
    assert decide(choice, POOL[17].id).numbers == {
        "selection_is_current": True,
        "rank": 8,
        "budget_needed": 8,
        "fraction_needed": 0.348,
    }
    assert "does not have it" in decide(choice, POOL[2].id).said[0]
    other = Choice(params, table, own["scores"], Size(6), {record.id: "" for record in POOL[11:17]}, order)
    assert decide(other, POOL[2].id).numbers == {"selection_is_current": False}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")  # commands work from any folder of the project
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], what: str) -> dict[str, Any]:
    capsys.readouterr()
    assert call("why", what, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    "what",
    [
        POOL[9].id,
        POOL[9].id.upper(),
        "my_pool.json:10",
        "data/my_pool.json:10",
        "../data/my_pool.json:10",
        "my_pool.json, entry 10",
        "IS 9 AND 9?\nsay",
    ],
)
def test_a_record_is_named_by_id_by_place_or_by_text(project: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, what)
    assert found["id"] == POOL[9].id
    assert found["kept_in"] == "pool"


def test_the_user_s_own_id_names_a_record(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "train-17")["id"] == POOL[11].id


def test_the_way_of_a_pool_record(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, POOL[9].id)
    assert found["tokens"] == {"tokens": 39, "response_tokens": 6, "too_long": False}
    own = found["cluster"]
    assert (own["cluster"], own["rank"], own["of"], own["nearer_the_centre"], own["is_proxy"]) == (1, 1, 4, 3, False)
    assert found["rating"] == {"rating": 0.04, "rank": 9, "of": 24, "unit": "nats per question"}
    assert {one["id"] for one in found["neighbours"][:2]} == {POOL[8].id, POOL[10].id}
    assert found["neighbours"][0]["similarity"] == pytest.approx(0.5)
    assert found["selection"]["selected"] is False
    assert call("why", POOL[9].id) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "selected no, 6 others were" in said
    assert "With a budget of 8 rows instead of 6 it would have been selected, too (sample.rows: 8)." in said


def test_what_prepare_set_aside_has_its_reason(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {26: "not_drawn", 27: "in_dev", 28: "near_duplicate", 31: "not valid JSON"}
    for entry, reason in reasons.items():
        found = told(capsys, f"my_pool.json:{entry}")
        assert found["kept_in"] is None
        assert found["set_aside"][0]["reason"] == reason
    assert told(capsys, "my_pool.json:28")["set_aside"][0]["of"] == POOL[4].id
    copy = told(capsys, "my_pool.json:25")
    assert (copy["id"], copy["kept_in"], copy["set_aside"][0]["reason"]) == (POOL[3].id, "pool", "exact_duplicate")


def test_dev_is_not_to_be_selected(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("why", DEV[0].id) == 0
    assert "kept in dev, which defines what is useful" in capsys.readouterr().out


def test_a_record_that_is_too_long_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, POOL[7].id)["selection"]["may_be_selected"] is False


def test_the_beginning_of_an_id_is_enough(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = next(id[:length] for id in (POOL[9].id,) for length in range(6, 16) if any(map(str.isdigit, id[:length])))
    assert told(capsys, short)["id"] == POOL[9].id
    assert call("why", "facade") == 1
    assert "no record says 'facade'" in capsys.readouterr().out


def test_text_is_found_as_it_is_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A prompt of two lines is shown on one, and may be cut."""
    assert "\n" in POOL[9].prompt
    assert told(capsys, "what is 9  and 9? say it in words")["id"] == POOL[9].id
    assert told(capsys, "What is 9 and 9? Say it…")["id"] == POOL[9].id


def test_several_records_are_listed_and_one_is_asked_for(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("why", "say it in words") == 1
    said = capsys.readouterr().out
    assert "The first ten:" in said
    assert sum(line.split()[1:2] == ["pool"] for line in said.splitlines()) == 10
    assert "23 records are meant; name one by its id" in said


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        (POOL[4].id[:-1] + ("0" if POOL[4].id[-1] != "0" else "1"), f"did you mean {POOL[4].id}?"),
        ("my_pool.json:99", "of my_pool.json, entry 1 to entry 31 were read"),
        ("what would 4 and 5 be", "near it: "),
        (" ", "nothing to look for"),
    ],
)
def test_none_says_what_is_near(project: Path, what: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("why", what) == 1
    assert hint in capsys.readouterr().out


def test_other_params_than_the_selection_was_made_with_are_noticed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_params(project, {"sample.rows": 5})
    own = told(capsys, POOL[9].id)["selection"]
    assert own["selection_is_current"] is False
    assert "budget_needed" not in own


def test_a_run_that_stopped_before_sampling(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("selection.parquet", "scores.parquet", "ratings.parquet", "embeddings.npy"):
        (project / "data" / name).unlink()
    assert call("why", POOL[9].id) == 0
    assert "not yet known: the stage sample has not run" in " ".join(capsys.readouterr().out.split())


def test_a_record_that_the_screen_left_out_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "data/ratings.parquet"
    ratings, chosen = pd.read_parquet(path), set(pd.read_parquet(project / "data/selection.parquet")["id"])
    screened = set(pd.read_parquet(project / "data/lengths.parquet").query("too_long")["id"])
    out = next(id for id in ratings["id"] if id not in chosen | screened)
    ratings[ratings["id"] != out].to_parquet(path)
    found = told(capsys, out)
    assert found["rating"] is None
    assert "It was not rated: of the " in found["selection"]["because"][0]
    assert call("why", out) == 0
    assert "rating none; the screen left it out" in " ".join(capsys.readouterr().out.split())


def test_tables_of_an_earlier_pool_are_not_taken_for_those_of_this_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (project / "data/prepared/pool.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (project / "data/prepared/pool.jsonl").write_text("".join(lines[4:]), encoding="utf-8")
    found = told(capsys, POOL[9].id)
    assert found["of_another_pool"] is True
    assert not {"cluster", "neighbours", "selection"} & set(found)
    assert call("why", POOL[9].id) == 0
    assert "the tables of later stages are of an earlier pool" in capsys.readouterr().out


@pytest.mark.parametrize("more", ["", "é"])
def test_lines_are_found_in_any_case_with_their_places(more: str) -> None:
    rows = [{"text": text} for text in (f"The Long Words{more}", "none", f"long\twords {more}", f"more LONG WORDS {more}")]
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    found = dict(rows_saying(data, "long words", lambda row: "more" not in row["text"]))
    assert found == {0: rows[0]}
    assert dict(rows_saying(data, "LONG", lambda row: True)) == {0: rows[0], 2: rows[2], 3: rows[3]}
    assert dict(rows_matching(data, "LONG", lambda row: True)) == {3: rows[3]}
