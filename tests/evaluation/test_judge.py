"""A judge on loopback: its verdicts, and what happens when it fails."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from judge_server import PAIRS, Reply, fair, said, server

from shed.common.errors import ShedError
from shed.evaluation.judge import Endpoint, Verdict, judge, summarise


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr("shed.evaluation.judge.time", SimpleNamespace(sleep=waits.append))
    return waits


def test_the_better_answer_wins_in_both_orders_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    with server(fair) as (url, asked):
        endpoint = Endpoint(url, "judge-1", key="sk-secret")
        verdicts = judge(PAIRS, endpoint, tmp_path / "kept.jsonl")
        assert len(asked) == 12
        assert {(one["path"], one["key"], one["model"]) for one in asked} == {
            ("/v1/chat/completions", "Bearer sk-secret", "judge-1")
        }
        assert judge(PAIRS, endpoint, tmp_path / "kept.jsonl") == verdicts
        assert len(asked) == 12
    summary = summarise(verdicts, seed=1)
    assert (summary["pairs"], summary["judged"], summary["wins"], summary["win_rate"]) == (6, 6, 6, 1.0)
    assert "secret" not in (tmp_path / "kept.jsonl").read_text()


def test_a_judge_that_prefers_the_first_answer_makes_ties(tmp_path: Path) -> None:
    with server(lambda request: said("Verdict: A")) as (url, _):
        summary = summarise(judge(PAIRS, Endpoint(url, "j"), tmp_path / "kept.jsonl"), seed=1)
    assert (summary["ties"], summary["orders_agree"], summary["win_rate"]) == (6, 0, 0.5)


def test_a_busy_server_is_waited_for_as_long_as_it_says(tmp_path: Path, no_waiting: list[float]) -> None:
    turn = iter(range(1000))

    def busy(request: dict[str, Any]) -> Reply:
        n = next(turn)
        return (429, {"Retry-After": "7"}, "") if n == 0 else (503, {}, "") if n == 1 else fair(request)

    with server(busy) as (url, _):
        verdicts = judge(PAIRS[:1], Endpoint(url, "j", workers=1), tmp_path / "kept.jsonl")
    assert [verdict.winner for verdict in verdicts] == ["ours", "ours"]
    assert no_waiting == [7.0, 1.0]


@pytest.mark.parametrize("nonsense", ["I like both.", "", "Verdict: neither"])
def test_a_reply_without_a_verdict_is_asked_for_again(tmp_path: Path, nonsense: str) -> None:
    turn = iter(range(1000))
    with server(lambda request: said(nonsense) if next(turn) < 2 else fair(request)) as (url, asked):
        verdicts = judge(PAIRS[:1], Endpoint(url, "j", workers=1), tmp_path / "kept.jsonl")
    assert [verdict.winner for verdict in verdicts] == ["ours", "ours"]
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("reply", "winner"),
    [("**Verdict**: B", "theirs"), ("Verdict: **A**.", "ours"), ("Verdict: A tie", "tie"), ("verdict: TIE", "tie")],
)
def test_verdicts_as_judges_write_them(tmp_path: Path, reply: str, winner: str) -> None:
    with server(lambda request: said(f"Verdict: A or B?\n{reply}")) as (url, _):
        assert judge(PAIRS[:1], Endpoint(url, "j"), tmp_path / "kept.jsonl")[0].winner == winner


def test_a_base_url_that_is_not_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="'http://localhost:port/v1' is not an address") as error:
        judge(PAIRS[:1], Endpoint("http://localhost:port/v1", "j"), tmp_path / "kept.jsonl")
    assert error.value.setting == "endpoint"


def test_pairs_that_get_no_verdict_are_counted_and_the_others_stand(tmp_path: Path) -> None:
    def mood(request: dict[str, Any]) -> Reply:
        return (200, {}, "<html>") if "What is 3" in request["messages"][0]["content"] else fair(request)

    with server(mood) as (url, _):
        verdicts = judge(PAIRS, Endpoint(url, "j"), tmp_path / "kept.jsonl")
    summary = summarise(verdicts, seed=1)
    assert (summary["pairs"], summary["judged"], summary["wins"]) == (6, 5, 5)
    assert {verdict.reply[:38] for verdict in verdicts if verdict.winner is None} == {"a reply that is no chat completion (JS"}


def test_a_server_that_never_answers_in_time_is_an_error_that_says_so(tmp_path: Path) -> None:
    released = threading.Event()

    def slow(request: dict[str, Any]) -> Reply:
        released.wait(5)
        return fair(request)

    with server(slow) as (url, _):
        with pytest.raises(ShedError, match=r"the judge j gave no verdict at all: no whole reply within 0.1 s"):
            judge(PAIRS[:1], Endpoint(url, "j", timeout=0.1, attempts=2), tmp_path / "kept.jsonl")
        released.set()


def test_a_refusal_is_not_repeated(tmp_path: Path) -> None:
    with (
        server(lambda request: (401, {}, "no such key")) as (url, asked),
        pytest.raises(ShedError, match="status 401: 'no such key'"),
    ):
        judge(PAIRS[:1], Endpoint(url, "j"), tmp_path / "kept.jsonl")
    assert len(asked) == 2


def test_a_server_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match=r"127\.0\.0\.1:9/v1: the judge j gave no verdict at all: ConnectError"):
        judge(PAIRS[:1], Endpoint("http://127.0.0.1:9/v1", "j", attempts=1), tmp_path / "kept.jsonl")


def test_a_line_that_a_killed_process_left_half_written_is_ignored(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    with server(fair) as (url, asked):
        judge(PAIRS[:2], Endpoint(url, "j"), kept)
        kept.write_text(kept.read_text()[:-20])
        judge(PAIRS[:2], Endpoint(url, "j"), kept)
        assert len(asked) == 5
        judge(PAIRS[:2], Endpoint(url, "j"), kept)
        assert len(asked) == 5


def test_win_rates_have_intervals_and_ties_count_half() -> None:
    def both(id: str, one: str, two: str) -> list[Verdict]:
        return [Verdict(id, True, one, ""), Verdict(id, False, two, "")]  # type: ignore[arg-type]

    verdicts = [v for i in range(20) for v in both(f"w{i}", "ours", "ours")]
    verdicts += [v for i in range(10) for v in both(f"l{i}", "theirs", "theirs")]
    verdicts += [v for i in range(10) for v in both(f"t{i}", "ours", "theirs")]
    summary = summarise(verdicts, seed=1)
    assert summary["win_rate"] == 0.625
    assert 0.45 < summary["win_rate_low"] < 0.55 < 0.7 < summary["win_rate_high"] < 0.8  # type: ignore[operator]
    assert summarise([], seed=1)["win_rate"] is None
