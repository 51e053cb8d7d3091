"""YAML from people, read so that no text can cost more than its size or give what a person did not write.

In: the text of a YAML file. Out: its lists, mappings and plain values.
"""

from typing import Any

import yaml

from shed.common.errors import ShedError


class _Loader(yaml.SafeLoader):
    """`SafeLoader` without aliases, which let a short text stand for a huge value, and without keys that stand twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors (&) and aliases (*) are not taken", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {key.value[:40]!r} stands twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Raises:
        ShedError: it is not YAML, has anchors, aliases or a key twice, or a value that its type cannot hold (2001-99-99).
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise ShedError(f"{where}{place}: not YAML that can be read ({_first_line(error.problem or error.context)})") from error
    except RecursionError as error:
        raise ShedError(f"{where}: not YAML that can be read (nested too deeply)") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError) as error:
        # PyYAML makes values with int(), datetime() and the like, and lets their errors through.
        raise ShedError(
            f"{where}: not YAML that can be read (a value that is not of its type: {_first_line(str(error))}); put it in quotes"
        ) from error


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0][:200]
