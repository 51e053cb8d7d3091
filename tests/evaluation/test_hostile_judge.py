"""An endpoint that means harm gets no more time and memory than it may, and its replies never hold the key."""

import gzip
import json
import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from judge_server import PAIRS, bytes_server, fair, said, server
from soaking import times

from shed.common.errors import ShedError
from shed.evaluation.judge import Endpoint, judge


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed.evaluation.judge.time", SimpleNamespace(sleep=lambda _: None))


PIECES = [
    b"\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1 500 no\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: -1\r\n",
    b":",
    b"\0",
]
PIECES += [
    b"Location: file:///etc/passwd\r\n",
    b"Content-Encoding: br\r\n",
    b"[" * 5000,
    b"9" * 5000,
    b"null",
    b'"',
    b"{",
    b"}",
    b"\xff",
]
PIECES += [b"\\ud800", b"Verdict: B", b"Verdict: tie", b"\n", b"", b" " * 70_000]
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def dripping(start: bytes) -> Callable[[], Iterator[bytes]]:
    """A byte each 50 ms, so that no single read takes long."""

    def parts() -> Iterator[bytes]:
        yield start
        for _ in range(200):
            time.sleep(0.05)
            yield b" "

    return parts


def endless() -> Iterator[bytes]:
    yield WHOLE + b"\r\n"
    for _ in range(2000):
        yield b" " * 1_000_000


PACKED = gzip.compress(bytes(100_000_000))


def bomb() -> Iterator[bytes]:
    yield WHOLE + b"Content-Encoding: gzip\r\n\r\n" + PACKED


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (dripping(WHOLE + b"\r\n"), "no whole reply within 0.3 s"),
        (dripping(WHOLE + b"X-Slow: "), "no whole reply within 0.3 s"),
        (endless, "the reply is longer than 4,000,000 bytes"),
        (bomb, "the reply is packed, which was not asked for"),
        (lambda: iter([WHOLE + b"\r\n" + b"[" * 500_000]), r"a reply that is no chat completion \(RecursionError"),
        (lambda: iter([WHOLE + b"\r\n\xff\xfe{}"]), "a reply that is no chat completion"),
        (lambda: iter([b"nonsense\r\n\r\n"]), "RemoteProtocolError"),
        (lambda: iter([WHOLE + b"[" * 5000 + b"\r\n\r\n"]), r"RemoteProtocolError: illegal header line.{0,200}$"),
    ],
    ids=["slow body", "slow headers", "endless", "gzip bomb", "deep", "no UTF-8", "no HTTP", "long header"],
)
def test_no_reply_takes_more_time_or_memory_than_it_may(
    tmp_path: Path, parts: Callable[[], Iterator[bytes]], said: str
) -> None:
    timeout = 0.3 if "within" in said else 20.0
    with bytes_server(parts) as url:
        start = time.monotonic()
        tracemalloc.start()
        with pytest.raises(ShedError, match=f"the judge j gave no verdict at all: {said}") as error:
            judge(PAIRS[:1], Endpoint(url, "j", timeout=timeout, attempts=2), tmp_path / "kept.jsonl")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.monotonic() - start < 8
    assert "\n" not in str(error.value)
    assert most < 60_000_000


@pytest.mark.parametrize("key", ["sk-abcdefgh\n", "sk-abc defgh", "sk-abcdefgh\0", "sk-abcdefgh\u00e9", " sk-abcdefgh"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(
        ShedError, match="the judge's key holds a space, a line end or another character that no key has"
    ) as error:
        Endpoint("http://127.0.0.1:9/v1", "j", key)
    assert "abc" not in str(error.value)


def test_an_endpoint_that_repeats_the_key_does_not_get_it_written_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, kept = "sk-0123456789abcdef", tmp_path / "kept.jsonl"
    before = json.dumps({"asked": "x", "reply": f"{key} Verdict: A"})
    kept.write_text(before + "\n")  # as an earlier version wrote it
    with server(lambda request: said(f"You are {key.upper()}, {key}.\nVerdict: A")) as (url, _):
        endpoint = Endpoint(url, "j", key)
        verdicts = judge(PAIRS[:1], endpoint, kept)
    assert [verdict.reply for verdict in verdicts] == ["You are [the key], [the key].\nVerdict: A"] * 2
    assert kept.read_text().replace(before, "").count(key) == 0
    assert key not in repr(endpoint)
    for status, body in [
        (401, f"{'x' * 190}{key}"),
        (200, key),
        (200, json.dumps({"choices": [{"message": {"content": key}}]})),
    ]:
        with (
            server(lambda request, status=status, body=body: (status, {}, body)) as (url, _),  # type: ignore[misc]
            pytest.raises(ShedError) as error,
        ):
            judge(PAIRS[1:2], Endpoint(url.replace("//", f"//me:{key}@"), "j", key), kept)
        assert "sk-01" not in str(error.value)
    assert "sk-01" not in "".join(capsys.readouterr())


def test_a_reply_that_no_file_can_hold_is_written_without_what_it_cannot(tmp_path: Path) -> None:
    with server(lambda request: said("\ud800\x00 Verdict: A")) as (url, _):
        verdicts = judge(PAIRS[:1], Endpoint(url, "j"), tmp_path / "kept.jsonl")
    assert {verdict.reply for verdict in verdicts} == {"\ufffd\ufffd Verdict: A"}


def test_a_damaged_file_of_replies_costs_the_damaged_lines_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept.jsonl"
    with server(fair) as (url, asked):
        endpoint = Endpoint(url, "j", workers=1)
        before = judge(PAIRS[:3], endpoint, kept)
        lines = kept.read_bytes().split(b"\n")
        assert len(asked) == 6
        damage = [b"\xff\xfe", b"[" * 100_000, b"1", b'{"asked": 1, "reply": "Verdict: A"}', b'{"asked": "x", "reply": null}']
        lines[1] = lines[1].replace(b"Verdict", b"V\xffrdict")
        lines[3] = lines[3].replace(b"Verdict", b"No word")
        kept.write_bytes(b"\n".join([*damage, *lines]))
        assert judge(PAIRS[:3], endpoint, kept) == before
        assert len(asked) == 8
    assert "kept.jsonl: 7 lines cannot be read and are asked for again; the others are kept\n" in capsys.readouterr().err


def test_any_reply_is_a_verdict_or_one_line_and_never_spoils_the_kept_ones(tmp_path: Path) -> None:
    """A seeded loop over a good reply with pieces put in, taken out and changed, on the way and where it is kept."""
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "Both are good.\nVerdict: A"}}]}).encode()
    good, rng = WHOLE + b"Content-Length: %d\r\n\r\n" % len(body) + body, random.Random(7)
    reply, kept, outcomes, told = bytearray(), tmp_path / "kept.jsonl", Counter[str](), list[str]()
    with bytes_server(lambda: iter([bytes(reply)])) as url:
        endpoint = Endpoint(url, "j", timeout=2.0, attempts=1, workers=1)
        for n in range(times(40, "replies of a judge with pieces put in, taken out and changed")):
            reply[:] = spoilt(good, rng)
            kept.write_bytes(spoilt(kept.read_bytes(), rng) if kept.exists() and n % 10 else b"")
            try:
                outcomes.update(str(verdict.winner) for verdict in judge(PAIRS[:1], endpoint, kept))
            except ShedError as error:
                told.append(str(error))
    assert set(outcomes) <= {"ours", "theirs", "tie", "None"}
    assert len(told) > 5 < outcomes["ours"] + outcomes["theirs"]
    assert not [one for one in told if "\n" in one or len(one) > 600]


def spoilt(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(changed) + 1)
        changed[at : at + rng.choice([0, 0, 1, 5, 40])] = rng.choice([rng.choice(PIECES), rng.randbytes(3)])
    return bytes(changed)


def test_replies_that_cannot_be_kept_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "kept.jsonl").mkdir()
    with pytest.raises(ShedError, match=r"kept\.jsonl: cannot read the judge's replies \(Is a directory\); move the file away"):
        judge(PAIRS[:1], Endpoint("http://127.0.0.1:9/v1", "j"), tmp_path / "kept.jsonl")
