"""The faults that can be put into a module: one for each place and kind of change, by the operators of cosmic-ray.

In: a source file and a seed. Out: its mutants. What stands in an annotation or a decorator is left out.
"""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shed.common.import_closure import ROOT

# What does not even import, and would count as found; what puts in a name that is none, where an error is caught.
LEFT_OUT = frozenset({"RemoveDecorator", "ExceptionReplacer"})


@dataclass(frozen=True)
class Mutant:
    """One change of one place.

    Attributes:
        module: the file's path in the project.
        first, last: the lines of the place.
        operator, occurrence: as cosmic-ray calls the change.
    """

    module: str
    first: int
    last: int
    operator: str
    occurrence: int

    @property
    def source(self) -> str:
        """The module with the change."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        text = (ROOT / self.module).read_text(encoding="utf-8")
        changed: str = mutate_code(text, get_operator(self.operator)(), self.occurrence)
        return changed

    @property
    def change(self) -> tuple[str, str]:
        """The lines that differ, before and after, without indents."""
        old = (ROOT / self.module).read_text(encoding="utf-8").splitlines()
        new = self.source.splitlines()
        start = next(at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other)
        more = len(new) - len(old)
        end = next(at for at in range(len(old), start, -1) if old[at - 1] != new[at - 1 + more])
        return _one_line(old[start:end]), _one_line(new[start : end + more])


def mutants(path: Path, seed: int) -> list[Mutant]:
    """A mutant for each place and kind of change in a file: where a kind has several changes, one drawn by the seed."""
    from cosmic_ray.ast import get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    text, module = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    silent = _silent(text)
    found: dict[tuple[str, Any, Any], list[Mutant]] = {}
    tree = get_ast(text)
    for name in sorted(operator_names()):
        kind = name.partition("/")[2].partition("_")[0]
        if kind in LEFT_OUT or get_operator(name).arguments():  # the latter are for one variable that somebody names
            continue
        operator = get_operator(name)()
        positions = (place for node in _nodes(tree) for place in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(positions):
            if not any(first <= start and end <= last for first, last in silent):
                found.setdefault((kind, start, end), []).append(Mutant(module, start[0], end[0], name, occurrence))
    draw = random.Random(f"{seed} {module}")
    return sorted((draw.choice(own) for _, own in sorted(found.items())), key=lambda one: (one.first, one.operator))


def _nodes(node: Any) -> Iterator[Any]:
    """In the order in which cosmic-ray counts occurrences."""
    yield node
    for child in getattr(node, "children", ()):
        yield from _nodes(child)


def _silent(text: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations and decorators stand: a change there is seen by readers and type checkers, or by each import."""
    nodes: list[ast.AST] = []
    for node in ast.walk(ast.parse(text)):
        nodes += [one for name in ("annotation", "returns") if isinstance(one := getattr(node, name, None), ast.AST)]
        nodes += getattr(node, "decorator_list", [])
    return [
        ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        for node in nodes
        if isinstance(node, ast.expr) and node.end_lineno is not None and node.end_col_offset is not None
    ]


def _one_line(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)
