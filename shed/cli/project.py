"""The project that a command is about: its folder, its params, and what its stages have written.

In: the folder in which the command was called, or one below the project's. Out: a `Project`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed.common.atomic_io import read_json
from shed.common.errors import ShedError
from shed.data.formats.yaml_text import DEEPEST, read_yaml

if TYPE_CHECKING:  # a command that reads no params is there sooner
    from shed.params import Params

BY_SCORES = ("qocs", "qwcs")  # samplers that take rows by the scores of clusters
MARKS = ("dvc.yaml", "params.yaml")  # in the folder of every project
MOST_LOCK = 5_000_000  # bytes of a dvc.lock; ours have up to 400,000


@dataclass(frozen=True)
class Project:
    """A folder with the pipeline in it.

    Attributes:
        root: the folder; paths of params and stages are relative to it.
    """

    root: Path

    @cached_property
    def params(self) -> "Params":
        """All params.

        Raises:
            ShedError: a key is missing, unknown, or has a value that it cannot have.
        """
        from shed.params import load_params

        return load_params(self.root / "params.yaml")

    def path(self, name: str) -> Path:
        """Where a file of the project is, which must be there.

        Raises:
            ShedError: no stage has made it yet.
        """
        path = self.root / name
        if not path.exists():
            raise ShedError(f"{name} is not there yet: run `shed run` first, or `dvc pull` where somebody else has run it")
        return path

    def metrics(self, name: str) -> Any:
        """What a file of metrics holds: `verdict` for `metrics/verdict.json`."""
        return read_json(self.path(f"metrics/{name}.json"))


def find_project(start: Path | None = None) -> Project:
    """The project in this folder, or in the nearest one above it.

    Raises:
        ShedError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if all((folder / mark).is_file() for mark in MARKS):
            return Project(folder)
    raise ShedError(f"{here} is in no project of shed: there is no dvc.yaml with a params.yaml; make one with `shed init`")


def read_stages(root: Path) -> dict[str, Any]:
    """The stages of a project's dvc.yaml, by name, read with the limits of `shed.data.formats.yaml_text`.

    Raises:
        ShedError: the file is not there, or is no dvc.yaml.
    """
    path = root / "dvc.yaml"
    try:
        found = read_yaml(path, "dvc.yaml", "dvc")
    except OSError as error:
        raise ShedError(f"{path}: {error.strerror}") from error
    stages = (found.get("stages") or {}) if isinstance(found, Mapping) else None
    if not (found is None or (isinstance(stages, Mapping) and all(isinstance(one, Mapping) for one in stages.values()))):
        raise ShedError(f"{path} cannot be read: it has no `stages` by name")
    return dict(stages or {})


def read_lock(content: bytes | str) -> dict[str, Any]:
    """The stages of a dvc.lock, by name.

    It has thousands of lines, so it is read by the library in C, after a look at whether it is nested too deeply, or has
    aliases within what others stand for, which grow without end.

    Raises:
        ShedError: it is no dvc.lock.
    """
    import yaml

    what_to_do = "`git diff dvc.lock` may show why; `git checkout dvc.lock` brings back the last one"
    if len(content) > MOST_LOCK:
        raise ShedError(f"dvc.lock has more than {MOST_LOCK:,} bytes and is not read; {what_to_do}")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        named: list[bool] = []  # for each list or mapping that is open, whether it is, or is in, one that aliases stand for
        for event in yaml.parse(content, loader):
            if isinstance(event, yaml.CollectionStartEvent):
                named.append(bool(event.anchor) or (bool(named) and named[-1]))
            elif isinstance(event, yaml.CollectionEndEvent):
                named.pop()
            if len(named) > DEEPEST or (isinstance(event, yaml.AliasEvent) and named and named[-1]):
                raise ShedError(f"dvc.lock cannot be read: it is nested without end; {what_to_do}")
        stages: Any = (yaml.load(content, loader) or {}).get("stages") or {}  # noqa: S506 (a SafeLoader)
        return {str(name): dict(own) for name, own in stages.items()}
    except (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ShedError(f"dvc.lock cannot be read; {what_to_do}") from error
