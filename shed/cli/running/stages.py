"""The stages of a project's dvc.yaml: their order, and which need which.

In: the project's folder. Out: names, in an order in which each comes after those that it needs.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from shed.cli.project import read_stages
from shed.common.errors import ShedError

OUTPUTS = ("outs", "metrics", "plots")


def needs(root: Path) -> dict[str, set[str]]:
    """For each stage those whose outputs it reads.

    Raises:
        ShedError: dvc.yaml cannot be read.
    """
    try:
        stages = read_stages(root)
        made = {PurePosixPath(path): name for name, stage in stages.items() for kind in OUTPUTS for path in _paths(stage, kind)}
        return {
            name: {made[one] for path in _paths(stage, "deps") for one in _at_or_above(path) if one in made} - {name}
            for name, stage in stages.items()
        }
    except (AttributeError, TypeError) as error:
        raise ShedError(f"{root / 'dvc.yaml'} cannot be read ({' '.join(str(error).split())})") from error


def finished(root: Path) -> list[str]:
    """The stages of which all outputs are there, in their order."""
    stages = read_stages(root)
    if not stages:
        return []
    outs = {name: [path for kind in OUTPUTS[:2] for path in _paths(stage, kind)] for name, stage in stages.items()}
    return [name for name in order(root) if outs[name] and all((root / path).exists() for path in outs[name])]


def order(root: Path, wanted: Sequence[str] = ()) -> list[str]:
    """All stages, or the wanted ones and those that they need; what cannot be found here is left to DVC."""
    of, found = needs(root), dict[str, None]()

    def add(name: str) -> None:
        if name in found or name not in of:
            return
        for one in of:
            if one in of[name]:
                add(one)
        found[name] = None

    for name in wanted or of:
        add(name)
    return list(found)


def _paths(stage: Any, kind: str) -> list[str]:
    return [next(iter(one)) if isinstance(one, dict) else one for one in stage.get(kind) or []]


def _at_or_above(path: str) -> list[PurePosixPath]:
    own = PurePosixPath(path)
    return [own, *own.parents]
