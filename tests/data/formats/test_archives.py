"""Wheels that are small and unpack to much, or hold rows that say no one thing: one line, in little memory."""

import hashlib
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shed.common.errors import ShedError
from shed.data.packaged import Wheel, cache_folder
from shed.data.readers import BadRecord
from shed.data.recipes import Source, read_source
from shed.data.records import Record


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHED_CACHE", str(tmp_path / "cache"))


def source(wheel: Wheel, files: str, form: Any) -> Source:
    return Source(name="made", package=wheel.requirement, sha256=wheel.sha256, files=files, form=form, licence="MIT")


def wheel_of(folder: Path, write: Callable[[zipfile.ZipFile], None], packing: int = zipfile.ZIP_DEFLATED) -> Wheel:
    """A wheel in the cache with what `write` puts into it."""
    with zipfile.ZipFile(folder / "made.whl", "w", packing) as file:
        write(file)
    content = (folder / "made.whl").read_bytes()
    wheel = Wheel("made==1", hashlib.sha256(content).hexdigest())
    kept = cache_folder() / "wheels" / wheel.sha256
    kept.mkdir(parents=True)
    (kept / "made-1-py3-none-any.whl").write_bytes(content)
    return wheel


def large(character: bytes, megabytes: int) -> Callable[[zipfile.ZipFile], None]:
    def write(file: zipfile.ZipFile) -> None:
        with file.open("demo.jsonl", "w") as member:
            for _ in range(megabytes):
                member.write(character * 1_000_000)

    return write


@pytest.mark.parametrize(
    ("character", "megabytes", "packing", "form", "message"),
    [
        (b"\0", 501, zipfile.ZIP_DEFLATED, "question_answer", "that match \\* unpack to more than 500 MB; name fewer"),
        (b"\0", 60, zipfile.ZIP_DEFLATED, "question_answer", "line 1: a source may have 50,000 lines of 16,000,000 char"),
        (b"\n", 1, zipfile.ZIP_DEFLATED, "multiple_choice", "line 50001: a source may have 50,000 lines"),
        (b"a", 60, zipfile.ZIP_DEFLATED, "conversations", "that match \\* unpack to more than 2 MB; name fewer"),
        (b"\0", 60, zipfile.ZIP_BZIP2, "question_answer", "demo.jsonl is packed in a way that no wheel has"),
        (b"\0", 60, zipfile.ZIP_LZMA, "question_answer", "demo.jsonl is packed in a way that no wheel has"),
    ],
)
def test_a_small_wheel_that_unpacks_to_a_large_one_takes_no_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    character: bytes,
    megabytes: int,
    packing: int,
    form: str,
    message: str,
) -> None:
    monkeypatch.setattr("shed.data.recipes.MOST_LINES", 50_000)
    wheel = wheel_of(tmp_path, large(character, megabytes), packing)
    tracemalloc.start()
    with pytest.raises(ShedError, match=message):
        list(read_source(source(wheel, "*", form)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 80_000_000  # of the first one that is, as a text of 16 million characters and its buffers


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"question": "a", "question": "b", "answer": ["c"]}', "repeats the key 'question'"),
        ('{"question": NaN, "answer": ["c"]}', "NaN"),
        ('{"question": "a", "answer": ' + "[" * 200 + "]" * 200 + "}", "nested too deeply"),
        ('{"question": "\\ud800", "answer": ["c"]}', "unpaired surrogate"),
    ],
)
def test_a_row_of_a_wheel_that_says_no_one_thing_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    wheel = wheel_of(tmp_path, lambda file: file.writestr("a.jsonl", f"{content}\n"))
    with pytest.raises(ShedError, match=rf"line 1: not a row of the form question_answer \({reason}\); name other `files`"):
        list(read_source(source(wheel, "*", "question_answer")))


def test_one_text_is_no_list_of_answers(tmp_path: Path) -> None:
    """Its first letter would be taken for the answer."""
    wheel = wheel_of(tmp_path, lambda file: file.writestr("a.jsonl", '{"question": "a", "answer": "Ada"}'))
    with pytest.raises(ShedError, match="line 1: not a row of the form question_answer; name"):
        list(read_source(source(wheel, "*", "question_answer")))


def test_control_characters_in_a_wheel_set_their_row_aside(tmp_path: Path) -> None:
    """As in the user's own files: the last stages could not write them."""

    def write(file: zipfile.ZipFile) -> None:
        file.writestr("a.jsonl", '{"question": "a\\u0001", "answer": ["b"]}\n{"question": "a", "answer": ["b"]}\n')
        file.writestr("b.yml", 'conversations:\n- ["Hi", "a\\uD800", "Bye", "Yes"]\n')

    wheel = wheel_of(tmp_path, write)
    bad, good = read_source(source(wheel, "a.jsonl", "question_answer"))
    assert (type(bad), bad.reason) == (BadRecord, "holds the control character U+0001")  # type: ignore[union-attr]
    assert (type(good), good.origin) == (Record, "a.jsonl, line 2")
    found = list(read_source(source(wheel, "b.yml", "conversations")))
    assert [getattr(one, "reason", None) for one in found] == [*["holds the control character U+D800"] * 2, None]
