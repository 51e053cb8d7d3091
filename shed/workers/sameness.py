"""What must be the same in each worker for numbers to be the same: the code, the packages, and the files of a local model.

In: names of modules, a model. Out: versions and digests, and in words how they differ.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from shed.common.errors import ShedError
from shed.common.import_closure import code_digest
from shed.models.manifests import folder_manifest
from shed.models.specs import ModelSpec

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
PACKAGES = ("torch", "transformers", "peft", "numpy", "tokenizers", "lm_eval", "rouge_score")


def versions(code: Sequence[str]) -> dict[str, str]:
    """The versions of Python and of the packages that numbers depend on, and the digest of the code of these modules."""
    return {
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        **({"shed's code": _code(code)} if code else {}),
    }


def differences(driver: Mapping[str, str], worker: Mapping[str, str]) -> str:
    """What differs, in words; empty if nothing does."""
    names = [name for name in {**driver, **worker} if driver.get(name) != worker.get(name)]
    return ", ".join(f"{name} is {worker.get(name, 'none')} there and {driver.get(name, 'none')} here" for name in names)


@dataclass(frozen=True)
class ModelThere:
    """A model that each worker must find under the same name, with the same files.

    Attributes:
        files: the digest of each file of a local folder; None for a packaged model or one of the hub, whose wheel or revision
            is fixed.
    """

    spec: ModelSpec
    files: Mapping[str, str] | None

    @classmethod
    def of(cls, spec: ModelSpec) -> "ModelThere":
        """The model as it is here."""
        folder = Path(spec.where).expanduser()
        return cls(spec, folder_manifest(spec.name, folder, "language model")["files"] if folder.is_dir() else None)

    def check(self) -> ModelSpec:
        """The model, if it is the same here.

        Raises:
            ShedError: its folder is not here, or holds other files.
        """
        if self.files is None:
            return self.spec
        folder = Path(self.spec.where).expanduser()
        if not folder.is_dir():
            raise ShedError(
                f"there is no folder {folder} with the model; put the same one at this path on each machine, or share its disk",
                "model",
            )
        found = folder_manifest(self.spec.name, folder, "language model")["files"]
        other = sorted(name for name in {**self.files, **found} if self.files.get(name) != found.get(name))
        if other:
            raise ShedError(
                f"the model in {folder} is another one than where this was started: {other[0]} differs; copy the folder again",
                "model",
            )
        return self.spec


def _code(modules: Sequence[str]) -> str:
    try:
        return code_digest(*modules)
    except FileNotFoundError:  # another version of shed, which lacks one of them
        return "without some modules"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
