"""A new project is sized by what all of its stages cost on this machine, and says so; rows are counted where that is quick."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from project_calls import call, write_rows

from shed.cli.making.init import AS_IT_STANDS, UNKNOWN
from shed.cli.making.sizing import costs as own_costs
from shed.cli.making.sizing.costs import CORES, READ, TUNED, Costs, defaults, reference
from shed.cli.making.sizing.look import Look, look
from shed.cli.making.sizing.suited import FEWEST_CLUSTERS, MARGIN, WHOLE, Sizes, suited
from shed.cli.making.sizing.trial import trial
from shed.common.atomic_io import read_json
from shed.data.records import single_turn
from shed.params import load_params
from shed.valuation.fidelity import FEWEST, half_coalitions

pytestmark = pytest.mark.usefixtures("git_user")
ROOT = Path(__file__).parents[3]
HALF_AN_HOUR = 30 * 60


def pool_of(rows: int | None, tokens: float, response: float) -> Look:
    """As many rows as if they had been looked at."""
    record = single_turn("What is it?", "It is.", "mine", "pool.jsonl, line 1")
    return Look(
        rows, rows is not None, tokens, response, {"alpaca": 200}, 0, None, None, [record] * 200, [(tokens, response, 0)] * 200
    )


def sized(pool: Look, minutes: float = 30, cores: int = 2) -> Sizes:
    there = UNKNOWN if pool.rows is None else pool.rows - 2 * min(300, pool.rows // 10)
    return suited(Costs({"pool": pool}, defaults({"data.dev_rows": None}), reference(cores), there), minutes)


def values(sizes: Sizes) -> Mapping[str, Any]:
    return {key: value for key, (value, _) in sizes.values.items()}


def test_a_pool_of_usual_size_is_taken_whole_with_the_default_settings() -> None:
    found = sized(pool_of(2_000, 45, 8))
    assert set(values(found)) == {"data.pool_rows", "C", "rate.warm_rows", "sample.fraction"}
    assert (values(found)["data.pool_rows"], values(found)["C"]) == (None, 32)
    assert found.first < 10 * 60


def test_of_many_short_rows_as_many_are_drawn_and_rated_as_half_an_hour_allows() -> None:
    found = sized(pool_of(50_000, 45, 8))
    own = values(found)
    assert own["rate.screen"] == 0.4
    assert 15_000 < own["data.pool_rows"] < 50_000
    assert "score.budget.fte" not in own, "scores are no large part of it"
    assert 0.9 * HALF_AN_HOUR < found.first * MARGIN <= HALF_AN_HOUR
    assert found.whole * MARGIN <= WHOLE * HALF_AN_HOUR
    assert found.whole > found.first


def test_of_long_rows_what_selects_nothing_is_made_cheaper_and_the_verdict_is_there_in_two_hours() -> None:
    """It was planned at more than four hours when rating alone was sized."""
    found = sized(pool_of(4_500, 330, 250))
    own = values(found)
    assert (own["sample.budget"], own["rate.per"]) == ("tokens", "token")
    assert own["score.budget.fte"] == 6.5
    assert own["C"] < 32
    assert own["fidelity.target_coalitions"] is None
    assert own["data.pool_rows"] >= 1_000
    assert 0.02 <= own["sample.fraction"] < 0.1
    assert found.first * MARGIN <= HALF_AN_HOUR
    assert found.whole * MARGIN <= WHOLE * HALF_AN_HOUR
    assert all(why for _, why in found.values.values())


def test_more_minutes_rate_more_and_more_cores_too() -> None:
    few, more, fast = (sized(pool_of(200_000, 100, 30), minutes, cores) for minutes, cores in ((10, 2), (240, 2), (10, 16)))
    assert values(few)["data.pool_rows"] < values(more)["data.pool_rows"]
    assert values(few)["data.pool_rows"] < values(fast)["data.pool_rows"]
    assert few.first * MARGIN <= 600
    assert few.first < more.first <= 240 * 60


def test_a_pool_of_unknown_size_is_drawn_from() -> None:
    found = sized(pool_of(None, 100, 30))
    assert values(found)["data.pool_rows"] > 1_000
    assert "of a pool of unknown size" in found.values["data.pool_rows"][1]


def test_where_nothing_is_quick_a_few_rows_are_drawn_and_the_time_is_told_as_it_is() -> None:
    pool = pool_of(4_500, 400, 300)
    slow = reference(2)
    slow = type(slow)(*[[100 * one for one in times] for times in (slow.forward, slow.tuned) * 2], 0, 0, 0, 0, 0)
    found = suited(Costs({"pool": pool}, defaults({}), slow, 3_900))
    assert values(found)["data.pool_rows"] == 40
    assert found.first > HALF_AN_HOUR


def test_what_is_chosen_is_what_params_take(tmp_path: Path) -> None:
    for n, pool in enumerate((pool_of(50_000, 45, 8), pool_of(4_500, 330, 250), pool_of(60, 20, 8))):
        assert defaults(values(sized(pool))).sampler == "top", n


@pytest.mark.parametrize("rows", [12, 50, 70])
def test_few_rows_have_as_many_clusters_as_an_audit_of_their_scores_takes(rows: int) -> None:
    clusters = [values(sized(pool_of(rows, 20, 8)))["C"], trial(pool_of(rows, 20, 8), ["dev", "test"])["C"][0]]
    assert clusters == [FEWEST_CLUSTERS] * 2
    assert len(half_coalitions(FEWEST_CLUSTERS, FEWEST, 0)) == FEWEST


def test_the_speed_that_stands_for_another_machine_is_the_measured_one() -> None:
    timed = read_json(ROOT / "benchmarks/planned_times.json")["packaged"]["timed"]
    assert pytest.approx(timed["read_ms"] / 1000, rel=0.1) == READ
    assert pytest.approx(timed["tuned_ms"] / 1000, rel=0.1) == TUNED
    assert CORES == 2


def test_a_large_project_times_the_model_and_tells_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def timed(params: Any, looks: Mapping[str, Look]) -> Any:
        asked.append(len(looks["pool"].first))
        return reference(1)

    monkeypatch.setattr(own_costs, "timed", timed)
    write_rows(tmp_path / "pool.jsonl", 30_000)
    assert call("init", "mine", "--pool", "pool.jsonl", "--minutes", "12") == 0
    printed = capsys.readouterr()
    assert asked == [200]
    assert "shed: timing the model ..." in printed.err
    assert "30,000 rows of the form alpaca" in printed.out
    assert "about 30,000 rows of the form" not in printed.out
    assert "The first selected rows take about " in printed.out
    assert "by the model's speed on this machine" in printed.out
    params = load_params(tmp_path / "mine/params.yaml")
    assert params.data.pool_rows is not None
    assert params.rate.screen == 0.4
    write_rows(tmp_path / "few.jsonl", 60)
    assert call("init", "small", "--pool", "few.jsonl", "--json") == 0
    assert asked == [200], "a small project is not timed"
    forecast = json.loads(capsys.readouterr().out)["forecast"]
    assert 0 < forecast["first_selected_rows"] < forecast["all_stages"]
    assert "another machine" in forecast["speed"]


def written(folder: Path, name: str, count: int) -> Path:
    """Rows of very different lengths, the short ones first, so that a guess by the first ones is far off."""
    path = folder / name
    table = [{"instruction": f"Say {n}.", "output": f"{n}! " * (1 + n // 100), "more": "x" * 40} for n in range(count)]
    if path.suffix == ".csv":
        pd.DataFrame(table).to_csv(path, index=False)
    elif path.suffix == ".parquet":
        pd.DataFrame(table).to_parquet(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(table), encoding="utf-8")
    else:
        lines = "\n".join(json.dumps(row) + "\n" * (n % 7 == 0) for n, row in enumerate(table))
        path.write_text(lines, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["pool.jsonl", "pool.csv", "pool.json", "pool.parquet"])
def test_rows_are_counted_where_that_is_quick(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, name, 2_345)
    found = look(str(path), AS_IT_STANDS)
    assert (found.rows, found.exact) == (2_345, True)
    monkeypatch.setattr("shed.cli.making.sizing.rows.MOST_OF_LINES", 1000)
    monkeypatch.setattr("shed.cli.making.sizing.rows.MOST_READ", 1000)
    found = look(str(path), AS_IT_STANDS)
    assert found.exact == (name == "pool.parquet"), "which says itself how many it has"


def test_what_is_not_counted_says_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed.cli.making.sizing.rows.MOST_OF_LINES", 1000)
    path = write_rows(tmp_path / "pool.jsonl", 8_000)
    found = look(str(path), AS_IT_STANDS)
    assert not found.exact
    assert found.rows == pytest.approx(8_000, rel=0.05)
    packed = tmp_path / "pool.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    found = look(str(packed), AS_IT_STANDS)
    assert (found.rows, found.exact) == (None, False)
