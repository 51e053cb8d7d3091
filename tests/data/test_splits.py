"""A split is what params name: a recipe of own and packaged data, or a path; and a change of its files is seen."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shed.common.errors import ShedError
from shed.data.readers import BadRecord, ReaderSettings, Reading
from shed.data.records import Record
from shed.data.splits import digests, licences, read_split

SETTINGS = ReaderSettings(None, None, None, (), "all", 1.0)
COMMIT = "0123456789abcdef" * 2 + "01234567"
HUB = f"hf://datasets/me/my-set@{COMMIT}?split=train"


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A source of a recipe whose wheel is in the cache."""
    archive = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("demo/qa.jsonl", json.dumps({"question": "Who?", "answer": ["Ada"]}))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    folder = tmp_path / "cache" / "wheels" / digest
    folder.mkdir(parents=True)
    archive.rename(folder / archive.name)
    monkeypatch.setenv("SHED_CACHE", str(tmp_path / "cache"))
    return {
        "name": "demo",
        "package": "demo==1.0",
        "sha256": digest,
        "files": "demo/*.jsonl",
        "form": "question_answer",
        "licence": "MIT",
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packaged: dict[str, str]) -> Path:
    """The working folder, with a recipe of a packaged data set and two of the user's own."""
    own = tmp_path / "work"
    write(own / "rows/a.jsonl", {"instruction": "q1", "output": "a1"}, {"instruction": "q2", "output": "a2", "hint": "x"})
    write(own / "rows/b.jsonl", {"instruction": "q3", "output": "a3"})
    write(own / "faq.jsonl", {"frage": "why?", "antwort": "so", "page": 7})
    rows = {"name": "rows", "path": "rows/*.jsonl", "ignore": ["hint"]}
    faq = {"name": "faq", "path": "faq.jsonl", "columns": {"prompt": "frage", "response": "antwort"}, "ignore": ["page"]}
    recipe = {"sources": [rows, packaged, {**faq, "licence": "CC0"}]}
    (own / "mix.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    monkeypatch.chdir(own)
    return own


def told(rows: Iterator[Record | BadRecord]) -> list[tuple[str, str]]:
    return [(one.source, one.response if isinstance(one, Record) else one.reason) for one in rows]


def test_a_recipe_mixes_packaged_and_own_data_in_its_order(folder: Path, packaged: dict[str, str]) -> None:
    reading = Reading()
    found = told(read_split("mix.yaml", SETTINGS, reading))
    assert found == [("rows", "a1"), ("rows", "a2"), ("rows", "a3"), ("demo", "Ada"), ("faq", "so")]
    assert reading.told()[0] == "rows/a.jsonl: 2 rows of the form alpaca"  # the user's own rows are told, by file
    assert licences("mix.yaml") == {"rows": "the user's own", "demo": "MIT", "faq": "CC0"}
    assert digests("mix.yaml") == {
        path: hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for path in ("mix.yaml", "rows/a.jsonl", "rows/b.jsonl", "faq.jsonl")
    } | {"demo==1.0": packaged["sha256"]}


def test_what_a_recipe_does_not_say_of_a_source_is_as_for_all(folder: Path) -> None:
    settings = ReaderSettings(None, None, None, ("page",), "all", 60e-6)
    (folder / "mine.yaml").write_text("sources:\n- {name: mine, path: rows}\n", encoding="utf-8")
    write(folder / "rows/b.jsonl", {"instruction": "q3", "output": "a3", "page": 1}, {"instruction": "q", "output": "a" * 99})
    a1, a2, b1, b2 = told(read_split("mine.yaml", settings, Reading()))
    assert (a1, b1) == (("mine", "a1"), ("mine", "a3"))
    assert "'hint' is not used" in a2[1]
    assert b2[1] not in {"a" * 99, a2[1]}  # the row of too many bytes


def test_a_path_is_read_by_its_files_and_is_the_users_own(folder: Path) -> None:
    assert told(read_split("rows/b.jsonl", SETTINGS, Reading())) == [("b", "a3")]
    assert licences("rows/b.jsonl") == {}  # the data card calls what no recipe names the user's own
    for where in ("rows", "rows/*.jsonl"):
        assert list(digests(where)) == ["rows/a.jsonl", "rows/b.jsonl"]


def test_what_a_recipe_says_of_a_source_takes_the_place_of_what_is_said_for_all(folder: Path) -> None:
    """Also where it says: nothing."""
    settings = ReaderSettings("messages", {"prompt": "frage", "response": "antwort"}, "data", ("hint",), "all", 0.001)
    (folder / "own.yaml").write_text(
        "sources:\n- {name: rows, path: rows, form: null, columns: {}, list_key: null, ignore: []}\n", encoding="utf-8"
    )
    a1, a2, b1 = told(read_split("own.yaml", settings, Reading()))
    assert (a1, b1) == (("rows", "a1"), ("rows", "a3"))
    assert "'hint' is not used" in a2[1]


def test_a_source_that_is_not_there_is_told_with_its_recipe_and_where_it_was_looked_for(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/mix.yaml").write_text("sources:\n- {name: mine, path: mine.jsonl}\n", encoding="utf-8")
    said = f"sub/mix.yaml, source 'mine': mine.jsonl: no such file or folder in {folder}, where relative paths start"
    for ask in (digests, lambda where: list(read_split(where, SETTINGS, Reading()))):
        with pytest.raises(ShedError) as error:
            ask("sub/mix.yaml")
        assert str(error.value) == said
    (folder / "sub/faq.yaml").write_text(
        "sources:\n- {name: faq, path: faq.jsonl, columns: {prompt: fragen}}\n", encoding="utf-8"
    )
    with pytest.raises(ShedError, match=r"sub/faq\.yaml, source 'faq': faq\.jsonl: no column 'fragen'") as error:
        list(read_split("sub/faq.yaml", SETTINGS, Reading()))
    assert error.value.setting == "columns"


@pytest.mark.parametrize("where", ["rows", "rows/*.jsonl", "mix.yaml"])
def test_a_file_that_changes_comes_or_goes_changes_the_digests(folder: Path, where: str) -> None:
    before = digests(where)
    assert digests(where) == before
    write(folder / "rows/b.jsonl", {"instruction": "q3", "output": "another"})
    changed = digests(where)
    assert {path for path in before if before[path] != changed[path]} == {"rows/b.jsonl"}
    write(folder / "rows/c.jsonl", {"instruction": "q4", "output": "a4"})
    assert digests(where).keys() - before.keys() == {"rows/c.jsonl"}
    (folder / "rows/a.jsonl").unlink()
    assert before.keys() - digests(where).keys() == {"rows/a.jsonl"}


def test_a_recipe_that_changes_changes_the_digests(folder: Path) -> None:
    before = digests("mix.yaml")
    path = folder / "mix.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("CC0", "CC1"), encoding="utf-8")
    assert {name for name, digest in digests("mix.yaml").items() if before[name] != digest} == {"mix.yaml"}


def test_a_dataset_of_the_hub_is_pinned_by_its_address_and_not_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("asked the hub")

    monkeypatch.setattr("datasets.load_dataset", load)
    assert digests(HUB) == {HUB: "pinned by its commit"}
    (folder / "hub.yaml").write_text(f"sources:\n- {{name: hub, path: '{HUB}'}}\n", encoding="utf-8")
    assert digests("hub.yaml")[HUB] == "pinned by its commit"


@pytest.mark.parametrize("where", ["{home}/saved", "~/saved", "saved"])
def test_a_saved_dataset_is_known_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    import datasets

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    where = where.format(home=tmp_path)
    datasets.Dataset.from_list([{"instruction": "q", "output": "a"}]).save_to_disk(tmp_path / "saved")
    assert told(read_split(where, SETTINGS, Reading())) == [("saved", "a")]
    before = digests(where)
    assert {Path(path).suffix for path in before} == {".arrow", ".json"}
    (tmp_path / "saved/state.json").write_text("{}")
    assert {Path(path).name for path, digest in digests(where).items() if before[path] != digest} == {"state.json"}


def test_a_copy_of_the_project_reads_and_names_files_that_lie_in_the_project(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `dvc exp run --temp` records must be what the project itself would record."""
    for where in ("mix.yaml", "rows", "rows/*.jsonl", "faq.jsonl"):
        assert digests(where, lambda path: f"{folder}/{path}") == digests(where)
    before = told(read_split("mix.yaml", SETTINGS, Reading()))
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    assert told(read_split("mix.yaml", SETTINGS, Reading(), lambda path: f"{folder}/{path}")) == before
    assert licences("mix.yaml", lambda path: f"{folder}/{path}").keys() == {"rows", "demo", "faq"}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("none.yaml", r"none\.yaml: no such recipe"),
        ("none.jsonl", r"none\.jsonl: no such file"),
        ("*.csv", "holds no data file"),
    ],
)
def test_what_is_not_there_is_one_line(folder: Path, where: str, message: str) -> None:
    for ask in (digests, lambda path: list(read_split(path, SETTINGS, Reading()))):
        with pytest.raises(ShedError, match=message):
            ask(where)
