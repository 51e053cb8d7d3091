"""Recipes: packaged and own sources, and one line for everything that is no recipe."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shed.common.errors import ShedError
from shed.data.recipes import Recipe, Source, UserSource, is_recipe, read_recipe

PACKAGED = {
    "name": "siqa",
    "package": "demo==1.0",
    "sha256": "ab" * 32,
    "files": "demo/*.jsonl",
    "form": "multiple_choice",
    "licence": "MIT",
}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "mix.yaml"
    path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
    return path


def test_packaged_and_own_sources_side_by_side(tmp_path: Path) -> None:
    own = {
        "name": "mine",
        "path": "~/rows/*.jsonl.gz",
        "form": "alpaca",
        "columns": {"prompt": "q"},
        "list_key": "data",
        "ignore": ["rank"],
    }
    recipe = read_recipe(
        written(tmp_path, {"sources": [PACKAGED, own, {"name": "hub", "path": "hf://datasets/a/b@c", "licence": "MIT"}]})
    )
    siqa, mine, hub = recipe.sources
    assert isinstance(siqa, Source)
    assert recipe.packaged == (siqa,)
    assert isinstance(mine, UserSource)
    assert (mine.path, mine.form, mine.columns, mine.list_key, mine.ignore) == (
        "~/rows/*.jsonl.gz",
        "alpaca",
        {"prompt": "q"},
        "data",
        ("rank",),
    )
    assert isinstance(hub, UserSource)
    assert ({source.name: source.licence for source in recipe.sources}) == {
        "siqa": "MIT",
        "mine": "the user's own",
        "hub": "MIT",
    }
    assert Recipe(sources=recipe.sources) == recipe
    assert [is_recipe(name) for name in ("a.yaml", "A.YML", "a.json")] == [True, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"package": "evil @ http://host/evil-1.tar.gz"}, r"source 2 \('x'\): package: 'evil @ http://.*write name==version"),
        ({"package": "./dir"}, "source 2 .*package: './dir' is not a package"),
        ({"sha256": "../../etc"}, r"source 2 \('x'\): sha256: '../../etc' is not a SHA-256"),
        ({"sha256": None}, r"source 2 \('x'\): sha256: Input should be a valid string"),
        ({"form": "alpaca"}, "source 2 .*form: Input should be 'multiple_choice', 'question_answer' or 'conversations'"),
        ({"licens": "MIT"}, r"source 2 \('x'\): licens: Extra inputs are not permitted; did you mean 'licence'\?"),
        ({"name": "a\nb"}, r"source 2 \('a\\nb'\): name: must be a line of text without control characters"),
        ({"name": "a\x1bb"}, r".*name: must be a line of text"),
        ({"name": " "}, r".*name: must be a line of text"),
        ({"path": "x.jsonl"}, r"source 2 \('x'\): .*: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_names_the_file_the_source_and_the_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ShedError, match=r"mix\.yaml: not a recipe: " + message) as error:
        read_recipe(written(tmp_path, {"sources": [PACKAGED, PACKAGED | {"name": "x"} | change]}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sources:\n- {name: x}\n", r"not a recipe: source 1 \('x'\): must have `package` .* or `path`"),
        (b"sources: [1]", "source 1: must have"),
        (b"sources: []", "sources: Tuple should have at least 1 item"),
        (b"", "not a recipe: Input should be a valid dictionary"),
        (b"- a", "not a recipe: Input should be a valid dictionary"),
        (b"a: &x [1, 2]\nb: [*x, *x]", r"line 1: not YAML that can be read \(anchors \(&\) and aliases \(\*\) are not taken\)"),
        (b"a: 1\nb: *x", r"line 2: not YAML that can be read \(anchors"),
        (b"sources: []\nsources: []", "line 2: .*the key 'sources' stands twice"),
        (b"a: [1, 2", r"line 1: not YAML that can be read"),
        (b"a: \x01", "not YAML that can be read"),
        (b"name: caf\xe9", "byte 10 is not UTF-8"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"- " * 5000, "nested too deeply"),
        (b"a: 2001-99-99", "a value that is not of its type: month must be in 1\\.\\.12\\); put it in quotes"),
        (b"a: " + b"9" * 5000, "a value that is not of its type"),
        (b"a: !!bool x", "a value that is not of its type"),
        (b"a: !!int x", "a value that is not of its type"),
        (b"a: !!int ''", "a value that is not of its type"),
        (b"a: !!timestamp x", "a value that is not of its type"),
        (b"a: !!python/object/apply:os.system [ls]", "line 1: .*could not determine a constructor"),
        (b"? [a]\n: b", "line 1: .*unhashable key"),
        (b"#" * 200_001, "more than 200,000 bytes, which is no recipe"),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_what_is_no_recipe_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ShedError, match=r"mix\.yaml.*" + message) as error:
        read_recipe(written(tmp_path, content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": {"promt": "q"}}, "columns: 'promt' is not a name of ours; did you mean 'prompt'\\? there are prompt, "),
        ({"columns": {"prompt": "q", "response": "q"}}, "columns: 'q' is given for the prompt and for the response"),
        ({"columns": {"prompt": " "}}, "columns: the column for the prompt has no name"),
        ({"form": "alpacca"}, "form: Input should be 'messages', 'sharegpt', "),
        ({"colums": {}}, "colums: Extra inputs are not permitted; did you mean 'columns'"),
    ],
)
def test_a_mistake_in_how_a_source_is_read_is_told_before_it_is_read(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    own = {"name": "mine", "path": "mine.jsonl"}
    with pytest.raises(ShedError, match=r"source 1 \('mine'\): " + message):
        read_recipe(written(tmp_path, {"sources": [own | change]}))


def test_a_recipe_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match=r"none\.yaml: no such recipe"):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(ShedError, match="this is a folder"):
        read_recipe(tmp_path)


PIECES = [
    "sources",
    "name",
    "path",
    ":",
    "-",
    "[",
    "]",
    "{",
    "}",
    "&",
    "*",
    "!",
    "!!int",
    "!!float",
    "!!binary",
    "!!set",
    "!!omap",
]
PIECES += [
    "!!timestamp",
    "!!bool",
    "!!null",
    "<<",
    "=",
    "?",
    "|",
    ">",
    "'",
    '"',
    "#",
    "%",
    "@",
    "`",
    "1",
    "0x",
    "0b",
    "1:2",
    "1e999",
]
PIECES += [".inf", ".nan", "~", "2001-01-99", "\n", "\n ", "\t", "\\", "\0", "\x85", "é", "\ufeff", "---", "...", ","]


@given(st.lists(st.sampled_from(PIECES), max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
def test_any_yaml_is_a_recipe_or_one_line(tmp_path: Path, pieces: list[str]) -> None:
    with pytest.raises(ShedError) as error:
        read_recipe(written(tmp_path, " ".join(pieces).encode()))
    assert "\n" not in str(error.value)
