"""YAML from people, read so that no text can cost more than its size or give what a person did not write.

In: a YAML file, or its text. Out: its lists, mappings and plain values. Every file of YAML that may come from elsewhere is read
here: recipes, params, task files of lm-eval, what other programs wrote beside their scores.
"""

import warnings
from pathlib import Path
from typing import Any, Literal

import yaml

from shed.common.errors import ShedError

MOST_BYTES = 200_000  # of a file; the slowest YAML of this size takes 7 seconds
DEEPEST = 60  # levels of lists and mappings
MOST_VALUES = 50_000  # with each alias counted as all that it stands for
MERGE = "tag:yaml.org,2002:merge"

Dialect = Literal["plain", "lm_eval", "dvc"]


class _Limits:
    """What both libraries' composers have in common: levels, and values with aliases written out, are counted."""

    aliases = True
    _level = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._sizes: dict[int, int] = {}  # of nodes, by id(): all of them are held until the text is read

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = (self if isinstance(self, yaml.SafeLoader) else self.parser).peek_event()  # type: ignore[attr-defined]
        mark = event.start_mark
        if not self.aliases and (type(event).__name__ == "AliasEvent" or getattr(event, "anchor", None)):
            raise yaml.MarkedYAMLError(problem="anchors (&) and aliases (*) are not taken", problem_mark=mark)
        if self._level > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested too deeply, over {DEEPEST} levels", problem_mark=mark)
        self._level += 1
        node = super().compose_node(parent, index)  # type: ignore[misc]
        self._level -= 1
        if id(node) not in self._sizes:
            if type(event).__name__ == "AliasEvent":
                raise yaml.MarkedYAMLError(problem="an alias (*) that stands for itself", problem_mark=mark)
            inner = () if isinstance(node.value, str) else node.value
            parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
            self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in parts)
        if self._sizes[id(node)] > MOST_VALUES:
            problem = f"over {MOST_VALUES:,} values, those that aliases (*) stand for among them"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        return node


class _WithAliases(_Limits, yaml.SafeLoader):
    """`SafeLoader` with limits, and without keys that stand twice."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._flat: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Called for each mapping, once before what it merges (<<) stands among its own keys, which may be the same."""
        if id(node) not in self._flat:
            self._flat.add(id(node))
            self._refuse_twins(node)
        super().flatten_mapping(node)

    def _refuse_twins(self, node: yaml.MappingNode) -> None:
        seen: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                value = key.value if key.tag == MERGE else self.construct_object(key)
                if value in seen:
                    problem = f"the key {key.value[:40]!r} stands twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(value)


class _Loader(_WithAliases):
    """The same without aliases."""

    aliases = False


class _TaskLoader(_WithAliases):
    """The same; of what lm-eval has a tag for (`!function utils.answer`) the text."""

    def tagged(self, _: str, node: yaml.Node) -> str:
        return str(self.construct_scalar(node))  # type: ignore[arg-type]


_TaskLoader.add_multi_constructor("!", _TaskLoader.tagged)


LOADERS = {"plain": _Loader, "lm_eval": _TaskLoader}


def read_yaml(path: Path, what: str, dialect: Dialect = "plain") -> Any:
    """The value of a YAML file of at most `MOST_BYTES`.

    Args:
        path: the file.
        what: it should be, for the message: "recipe".
        dialect: as for `parse_yaml`.

    Raises:
        OSError: the file cannot be opened.
        ShedError: it is larger, not UTF-8, or as `parse_yaml` says.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ShedError(f"{path}: more than {MOST_BYTES:,} bytes, which is no {what}")
    return parse_yaml(utf8(content, str(path)), str(path), dialect)


def parse_yaml(text: str, where: str, dialect: Dialect = "plain") -> Any:
    """The value of a YAML text.

    Args:
        text: of at most `MOST_BYTES`, unless the caller has another limit.
        where: it stands, for the message.
        dialect: `plain` is YAML 1.1 without aliases; `lm_eval` has aliases, and tags, of which the text is taken; `dvc` is YAML
            1.2 with aliases: `1e-05` is a number and `yes` a text.

    Raises:
        ShedError: it is not YAML, is nested too deeply, has too many values or a key twice, aliases where none are taken, or a
            value that its type cannot hold (2001-99-99).
    """
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _newer(text) if dialect == "dvc" else yaml.load(text, LOADERS[dialect])  # noqa: S506 (SafeLoaders)
    except DuplicateKeyError as error:
        said = str(error.problem).partition(" with value")[0].removeprefix("found duplicate key ")
        raise ShedError(f"{where}: the key {said} stands twice in one group; give each a name of its own") from error
    except (yaml.MarkedYAMLError, MarkedYAMLError) as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise ShedError(f"{where}{place}: not YAML that can be read ({_first_line(error.problem or error.context)})") from error
    except (yaml.YAMLError, YAMLError) as error:
        raise ShedError(f"{where}: not YAML that can be read ({_first_line(str(error))})") from error
    except (ValueError, LookupError, AttributeError, OverflowError, AssertionError, TypeError) as error:
        # Both libraries make values with int(), datetime() and the like, and let their errors through.
        reason = ": ".join(part for part in ("a value that is not of its type", _first_line(str(error))) if part)
        raise ShedError(f"{where}: not YAML that can be read ({reason}); put it in quotes") from error


def _newer(text: str) -> Any:
    """YAML 1.2; ruamel refuses keys that stand twice itself."""
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer

    class Limited(_Limits, Composer):
        pass

    reader = YAML(typ="safe", pure=True)
    reader.Composer = Limited
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an anchor that stands twice, which YAML allows
        return reader.load(text)


def utf8(content: bytes, where: str) -> str:
    """The text of these bytes, without a byte order mark.

    Raises:
        ShedError: they are not UTF-8; the message says which byte.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ShedError(f"{where}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0][:200]
