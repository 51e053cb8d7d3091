"""The project that a command is about: its folder, its params, and what its stages have written.

In: the folder in which the command was called, or one below the project's. Out: a `Project`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shed.common.atomic_io import read_json
from shed.common.errors import ShedError
from shed.params import Params, load_params

BY_SCORES = ("qocs", "qwcs")  # samplers that take rows by the scores of clusters
MARKS = ("dvc.yaml", "params.yaml")  # in the folder of every project


@dataclass(frozen=True)
class Project:
    """A folder with the pipeline in it.

    Attributes:
        root: the folder; paths of params and stages are relative to it.
    """

    root: Path

    @cached_property
    def params(self) -> Params:
        """All params.

        Raises:
            ShedError: a key is missing, unknown, or has a value that it cannot have.
        """
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
