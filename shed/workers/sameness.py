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
from shed.models.manifests import SETTINGS, ModelKind, folder_manifest
from shed.models.specs import ModelSpec

OUTPUTS_DEPEND_ON: tuple[str, ...] = ()  # see `shed.common.import_closure`
PACKAGES = ("torch", "transformers", "peft", "numpy", "tokenizers", "lm_eval", "rouge_score", "sentence_transformers")


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
        return cls(spec, files_of(spec.name, spec.where, "language model"))

    def check(self) -> ModelSpec:
        """The model, if it is the same here.

        Raises:
            ShedError: its folder is not here, or holds other files.
        """
        check_files(self.spec.name, self.spec.where, self.files, "language model")
        return self.spec


def files_of(name: str, where: str, kind: ModelKind) -> Mapping[str, str] | None:
    """The digest of each file of a model's folder; None where it has none, for a packaged model or one of the hub."""
    folder = Path(where).expanduser()
    found: Mapping[str, str] | None = folder_manifest(name, folder, kind)["files"] if folder.is_dir() else None
    return found


def check_files(name: str, where: str, files: Mapping[str, str] | None, kind: ModelKind) -> None:
    """Refuse a model whose folder is not here, or holds other files than these; see `files_of`."""
    if files is None:
        return
    folder = Path(where).expanduser()
    found = files_of(name, where, kind)
    if found is None:
        raise ShedError(
            f"there is no folder {folder} with the {kind}; put the same one at this path on each machine, or share its disk",
            SETTINGS[kind],
        )
    other = sorted(file for file in {**files, **found} if files.get(file) != found.get(file))
    if other:
        raise ShedError(
            f"the {kind} in {folder} is another one than where this was started: {other[0]} differs; copy the folder again",
            SETTINGS[kind],
        )


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
