"""Wheels as archives of data: checked, cached, and with a way out when there is no network."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from shed.common.errors import ShedError
from shed.data.packaged import Wheel, cache_folder, fetch_wheel, read_members
from shed.data.recipes import Source, read_recipe, read_source
from shed.models.loading import locate, manifest


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A cache that holds one wheel, on a machine where pip must not be called."""
    archive = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as file:
        rows = [
            {"passage": "It rained.", "question": "Why wet?", "options": "\nA. rain\nB. sun", "answer": "A. rain"},
            {"question": "Odd?", "options": "A. one\nB. two", "answer": "C. three"},
        ]
        file.writestr("demo/data/mc/test.jsonl", "\n".join(map(json.dumps, rows)))
        file.writestr("demo/data/qa.jsonl", json.dumps({"question": "Who?", "answer": ["Ada", "Lovelace"]}))
        file.writestr("demo/data/talk.yml", "conversations:\n- - Hi\n  - Hello\n  - Bye\n- not a list\n")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    folder = tmp_path / "cache" / "wheels" / digest
    folder.mkdir(parents=True)
    archive.rename(folder / archive.name)
    monkeypatch.setenv("SHED_CACHE", str(tmp_path / "cache"))

    def no_network(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(command, 1, "", "WARNING: Retrying\nERROR: No matching distribution found for demo")

    monkeypatch.setattr("shed.data.packaged.subprocess.run", no_network)
    return Wheel("demo==1.0", digest)


def source(wheel: Wheel, files: str, form: str) -> Source:
    return Source(name="demo", package=wheel.requirement, sha256=wheel.sha256, files=files, form=form, licence="MIT")  # type: ignore[arg-type]


def test_a_wheel_in_the_cache_needs_no_network(cached: Wheel) -> None:
    assert list(read_members(cached, "demo/data/*.jsonl")) == ["demo/data/qa.jsonl"]
    with pytest.raises(ShedError, match=r"demo==1\.0 holds no file that matches demo/\*\.txt"):
        read_members(cached, "demo/*.txt")


def test_a_wheel_that_is_not_there_says_what_to_do(cached: Wheel) -> None:
    with pytest.raises(
        ShedError, match=r"cannot download demo==2\.0 \(ERROR: No matching .* put the wheel into .*/wheels/00"
    ) as error:
        fetch_wheel(Wheel("demo==2.0", "00"))
    assert "\n" not in str(error.value)


def test_a_wheel_with_a_wrong_digest_is_refused(cached: Wheel) -> None:
    path = fetch_wheel(cached)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ShedError, match=r"its SHA-256 is [0-9a-f]{64}, but demo==1\.0 must have .*; delete"):
        fetch_wheel(cached)


def test_a_download_with_a_wrong_digest_is_not_kept(cached: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        (Path(command[command.index("--dest") + 1]) / "demo-3.0-py3-none-any.whl").write_bytes(b"other")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("shed.data.packaged.subprocess.run", wrong)
    with pytest.raises(ShedError, match="do not use this file"):
        fetch_wheel(Wheel("demo==3.0", "ab" * 32))
    assert len(list((cache_folder() / "wheels").rglob("*"))) == 2  # the one wheel that was there, and its folder


def test_each_form_of_source_becomes_records(cached: Wheel) -> None:
    good, odd = read_source(source(cached, "demo/data/mc/*.jsonl", "multiple_choice"))
    assert (good.prompt, good.response, good.choices, good.answer) == ("It rained. Why wet?", "rain", ("rain", "sun"), 0)
    assert good.origin == "demo/data/mc/test.jsonl, line 1"
    assert odd.response == ""  # its answer is none of its options: preparation sets it aside
    (asked,) = read_source(source(cached, "demo/data/qa.jsonl", "question_answer"))
    assert asked.response == "Ada"
    talk = list(read_source(source(cached, "demo/data/*.yml", "conversations")))
    assert [(r.prompt, r.response) for r in talk] == [("Hi", "Hello"), ("Hello", "Bye")]


def test_a_recipe_with_a_mistake_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("sources:\n- {name: x}\n")
    with pytest.raises(ShedError, match=r"bad\.yaml: not a recipe of packaged sources"):
        read_recipe(tmp_path / "bad.yaml")
    with pytest.raises(ShedError, match="no such recipe"):
        read_recipe(tmp_path / "none.yaml")


def test_models_by_name(tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ShedError, match="no packaged model is called 'packaged/gpt-9'; there are packaged/smollm2-135m-instruct"
    ):
        locate("packaged/gpt-9")
    assert locate("someone/some-model") == "someone/some-model"
    assert "model.safetensors" in manifest(tiny_model, "language model")["files"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ShedError, match="'someone/some-model' is neither a packaged language model .* nor a local folder, and the hub did not"
    ):
        manifest("someone/some-model", "language model")
    monkeypatch.setattr("shed.models.loading.locate", str)  # nothing to download in the test
    with pytest.raises(
        ShedError, match="packaged/all-minilm-l6-v2 is not a language model; use packaged/smollm2-135m-instruct"
    ):
        manifest("packaged/all-minilm-l6-v2", "language model")
    with pytest.raises(ShedError, match="this folder holds no model"):
        manifest(str(Path(tiny_model).parent), "language model")
