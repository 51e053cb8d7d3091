"""YAML from people: params, recipes and task files of any bytes are read or refused in one line, soon and in little memory."""

import random
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from soaking import times

from shed.common.errors import ShedError
from shed.data.formats.yaml_text import parse_yaml
from shed.data.recipes import read_recipe
from shed.data.tasks.files import read_task_file
from shed.params import load_params

ROOT = Path(__file__).parents[3]
ALIASES = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghij")
)
READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "params": (load_params, "params.yaml"),
    "recipe": (read_recipe, "data/pool.yaml"),
    "task": (read_task_file, "params.yaml"),
}
PIECES = [b"&a ", b"*a", b"<<: ", b"!!bool ", b"!!int ", b"!!omap ", b"!!set ", b"!!binary ", b"!!timestamp ", b"2001-99-99"]
PIECES += [b"9" * 5000, b"0x" + b"f" * 5000, b"1e999", b".nan", b"[" * 200, b"{a: " * 200, b"- " * 200, b"? ", b"\xff", b"\0"]
PIECES += [b"\xed\xa0\x80", b'"\\ud800"', b"\xe2\x80\xa8", b"\x1b[31m", b"%YAML 1.1\n---\n", b"---\n", b"'", b'"', b"\t", b"\r"]
PIECES += [
    b"\n",
    b": ",
    b"- ",
    b"#",
    b"|",
    b">",
    b"~",
    b"2001-01-01T00:00:00+99:99",
    b"1:99:99",
    b"!f [1]",
    b"...\n",
    b"\xef\xbb\xbf",
]


@pytest.mark.parametrize("reader", READERS)
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, reader: str) -> None:
    """A seeded loop over a good file with pieces put in, taken out and changed."""
    read, good = READERS[reader]
    content, rng = (ROOT / good).read_bytes()[:1500], random.Random(reader)
    path, said = tmp_path / "x.yaml", list[str]()
    for _ in range(times(250, "recipes, params and task files with pieces put in, taken out and changed")):
        spoilt = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(spoilt) + 1)
            end = at + rng.choice([0, 0, 1, 5, 40])
            spoilt[at:end] = rng.choice([rng.choice(PIECES), rng.choice(PIECES), rng.randbytes(3), b""])
        path.write_bytes(spoilt)
        try:
            read(path)
        except ShedError as error:
            said.append(str(error))
    assert len(said) > 50
    assert not [one for one in said if "\n" in one or len(one) > 1500 or not one.encode()]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ALIASES, "over 50,000 values, those that aliases|anchors .* are not taken"),
        ("a: &a [*a]", "an alias .* that stands for itself|anchors .* are not taken"),
        ("a: " + "[" * 90_000, "nested too deeply"),
        ("a: " + "{a: " * 40_000, "nested too deeply"),
        ("a: " + "x" * 200_000, "more than 200,000 bytes, which is no "),
        ("a: 1\nb: {c: 1, c: 2}", r"key .c. stands twice"),
        ("a: !!bool x", "a value that is not of its type"),
        ("a: !!omap [b: 1, b: 2, 3]", "not YAML that can be read"),
    ],
    ids=["aliases", "a ring", "lists", "mappings", "large", "twice", "bool", "omap"],
)
def test_a_short_text_costs_no_more_than_its_size(tmp_path: Path, reader: str, content: str, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(content)
    start = time.monotonic()
    with pytest.raises(ShedError, match=said) as error:
        READERS[reader][0](path)
    assert time.monotonic() - start < 20
    assert "\n" not in str(error.value)


def test_aliases_of_params_that_stand_for_little_are_taken(tmp_path: Path) -> None:
    """DVC takes them, too."""
    text = (ROOT / "params.yaml").read_text()
    modules = "modules: [q_proj, v_proj, down_proj]"
    shared = text.replace(modules, "modules: &m [q_proj, v_proj, down_proj]", 1).replace(modules, "modules: *m")
    assert shared.count("*m") == 1
    (tmp_path / "params.yaml").write_text(shared)
    assert load_params(tmp_path / "params.yaml") == load_params(ROOT / "params.yaml")


@pytest.mark.parametrize("keys", ["1: a\n0x1: b", "true: a\nTrue: b", '"a": 1\na: 2', "<<: {a: 1}\n<<: {a: 2}"])
def test_one_key_that_is_written_in_two_ways_stands_twice(keys: str) -> None:
    """The second value would take the first one's place without a word."""
    with pytest.raises(ShedError, match="stands twice"):
        parse_yaml(keys, "x")


def test_what_is_merged_into_a_mapping_may_have_its_keys() -> None:
    assert parse_yaml("<<: {a: 1, b: 2}\na: 3", "x") == {"a": 3, "b": 2}
