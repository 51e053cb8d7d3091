"""Wheels as archives of data: checked, cached, and with a way out when there is no network."""

import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from shed.common.errors import ShedError
from shed.data.packaged import Wheel, cache_folder, fetch_wheel, read_members
from shed.data.recipes import Source, read_source
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


def members(wheel: Wheel, pattern: str, **limits: int) -> dict[str, bytes]:
    return {name: file.read() for name, file in read_members(wheel, pattern, **limits)}


def test_a_wheel_in_the_cache_needs_no_network(cached: Wheel) -> None:
    assert list(members(cached, "demo/data/*.jsonl")) == ["demo/data/qa.jsonl"]
    with pytest.raises(ShedError, match=r"demo==1\.0 holds no file that matches demo/\*\.txt"):
        members(cached, "demo/*.txt")


def test_a_wheel_that_is_not_there_says_what_to_do(cached: Wheel) -> None:
    with pytest.raises(
        ShedError, match=r"cannot download demo==2\.0 \(ERROR: No matching .* put the wheel into .*/wheels/00"
    ) as error:
        fetch_wheel(Wheel("demo==2.0", "00" * 32))
    assert "\n" not in str(error.value)


def test_a_wheel_with_a_wrong_digest_is_refused(cached: Wheel) -> None:
    path = fetch_wheel(cached)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ShedError, match=r"its SHA-256 is [0-9a-f]{64}, but demo==1\.0 must have .*; delete"):
        fetch_wheel(cached)


def test_a_download_with_a_wrong_digest_is_not_kept(cached: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        if "download" in command:
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


def test_pip_gets_the_index_settings_alone_and_may_build_nothing(cached: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A requirement or a constraint out of pip's own settings could be an address, whose package pip builds."""
    listed = "global.index-url='https://a/simple'\nglobal.constraint='c.txt'\n:env:.requirement='r.txt'\n"
    listed += "download.index-url='https://b/simple'\ninstall.index-url='https://c/simple'\n:env:.timeout='9'\n"
    calls: list[tuple[list[str], dict[str, str]]] = []

    def pip(command: list[str], env: dict[str, str] | None = None, **_: object) -> "subprocess.CompletedProcess[str]":
        calls.append((command, env or {}))
        return subprocess.CompletedProcess(command, 0, listed, "")

    monkeypatch.setattr("shed.data.packaged.subprocess.run", pip)
    monkeypatch.setenv("PIP_REQUIREMENT", "r.txt")
    with pytest.raises(ShedError, match=r"cannot download demo==2\.0 \(pip printed no reason\)"):
        fetch_wheel(Wheel("demo==2.0", "00" * 32))
    command, environment = calls[-1]
    assert command[-2:] == ["--", "demo==2.0"]
    assert " ".join(command).count("download --no-deps --only-binary :all: --dest") == 1
    settings = {key: value for key, value in environment.items() if key.startswith("PIP_")}
    assert settings == {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "https://b/simple", "PIP_TIMEOUT": "9"}
    assert "PATH" in environment


@pytest.mark.parametrize(
    "requirement",
    [
        *(
            "evil @ http://host/evil-1.tar.gz",
            "http://host/a.whl",
            "./dir",
            "dir",
            "-r file",
            "-rfile==1",
            "--log=/x",
            "--log==1",
        ),
        *("a==1 ; python_version>'3'", "a[extra]==1", "a>=1", "a==1,>=0", "a==1.*", "a===1", "a==", "==1", "a== 1", "a ==1"),
        *("a==1\n", " a==1", "a==1 --no-binary=:all:", "a==file:x", "a==/x", "../a==1", "ä==1", ""),
    ],
)
def test_only_a_package_at_one_version_is_a_requirement(requirement: str) -> None:
    with pytest.raises(ShedError, match="is not a package of the index at one version; write name==version"):
        Wheel(requirement, "ab" * 32)


@pytest.mark.parametrize("requirement", ["a==1", "Some.Name_x-2==1.0rc1", "torch==2.13.0+cpu", "a==1!2.post3.dev4"])
def test_names_and_versions_of_the_index_are_requirements(requirement: str) -> None:
    assert Wheel(requirement, "ab" * 32).requirement == requirement


@pytest.mark.parametrize("sha256", ["", "00", "../" * 21 + "a", "AB" * 32, "ab" * 32 + "\n", "g" * 64])
def test_a_digest_is_64_hexadecimal_digits(sha256: str) -> None:
    with pytest.raises(ShedError, match="is not a SHA-256; write its 64 hexadecimal digits"):
        Wheel("a==1", sha256)


def test_limits_of_what_is_unpacked(cached: Wheel) -> None:
    """By the archive's directory, which may lie, and by what comes out."""
    everything = sum(map(len, members(cached, "*").values()))
    assert len(members(cached, "*", max_bytes=everything, max_files=3)) == 3
    with pytest.raises(ShedError, match=r"demo==1\.0: the files that match \* are more than 2; name fewer"):
        members(cached, "*", max_files=2)
    with pytest.raises(ShedError, match=r"the files that match \* unpack to more than 0\.000\d+ MB; name fewer"):
        members(cached, "*", max_bytes=everything - 1)


def test_a_directory_that_lies_does_not_help(cached: Wheel, tmp_path: Path) -> None:
    for size in (0, 5):  # what the directory says of 10,000 bytes
        with zipfile.ZipFile(tmp_path / "bomb.whl", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a.jsonl", b"x" * 10_000)
            file.infolist()[0].file_size = size
        content = (tmp_path / "bomb.whl").read_bytes()
        wheel = Wheel("bomb==1", hashlib.sha256(content).hexdigest())
        folder = cache_folder() / "wheels" / wheel.sha256
        folder.mkdir()
        (folder / "bomb-1-py3-none-any.whl").write_bytes(content)
        with pytest.raises(ShedError, match=r"cannot be read as a wheel \(Bad CRC|unpack to more"):
            members(wheel, "*", max_bytes=100)


def test_a_wheel_that_is_no_archive_is_one_line(cached: Wheel) -> None:
    wheel = Wheel("text==1", hashlib.sha256(b"hello").hexdigest())
    folder = cache_folder() / "wheels" / wheel.sha256
    folder.mkdir()
    (folder / "text-1-py3-none-any.whl").write_bytes(b"hello")
    with pytest.raises(ShedError, match=r"text-1-py3-none-any\.whl: cannot be read as a wheel \(File is not a zip file\)"):
        members(wheel, "*")


@pytest.mark.parametrize("form", ["multiple_choice", "question_answer", "conversations"])
@pytest.mark.parametrize(
    "content",
    [b"caf\xe9", b"[1]", b"{}", b'{"question": 1, "options": 2, "answer": 3}', b"[" * 9999, b"&a 1", b"conversations: 1"],
)
def test_a_member_of_another_form_is_one_line(cached: Wheel, tmp_path: Path, form: str, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "odd.whl", "w") as file:
        file.writestr("odd.txt", content)
    data = (tmp_path / "odd.whl").read_bytes()
    wheel = Wheel("odd==1", hashlib.sha256(data).hexdigest())
    folder = cache_folder() / "wheels" / wheel.sha256
    folder.mkdir()
    (folder / "odd-1-py3-none-any.whl").write_bytes(data)
    with pytest.raises(
        ShedError, match=r"^odd==1: odd\.txt.*(not a row of the form|holds no list|not UTF-8|not YAML)"
    ) as error:
        list(read_source(source(wheel, "*.txt", form)))
    assert "\n" not in str(error.value)


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
