"""What identifies a model that is not packaged: the digests of a local folder's files, or a hub's revision.

In: a folder or a hub id. Out: a manifest that DVC can compare. What could not be loaded, or only by running code that came with
it, is refused here, before anything is computed.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from shed.common.errors import ShedError

ModelKind = Literal["language model", "embedder"]
SETTINGS: dict[ModelKind, str] = {"language model": "model", "embedder": "embedder"}  # for `ShedError.setting`
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"})
TEXTS = frozenset({"readme", "license", "licence", "notice", "copying"})  # names of files for people
PICKLED = re.compile(r"(pytorch_model|model|consolidated).*\.(bin|pt|pth)")
MODULE_FOLDER = re.compile(r"\d+_")  # where an embedder's parts stand
SAVE_AGAIN = "load it where you trust it and save it again with save_pretrained, which writes safetensors"
TEXT_ENDINGS = frozenset({"", ".txt", ".rst"})


def folder_manifest(name: str, folder: Path, kind: ModelKind) -> dict[str, Any]:
    """The SHA-256 of each file that may decide what the model computes, by its path in the folder.

    That is every file but hidden ones, images and texts for people (README, licences, Markdown). Links are followed.

    Raises:
        ShedError: no model of this kind can be loaded from the folder, or a file cannot be read.
    """
    try:
        _check_layout(name, {path.name for path in folder.iterdir()}, kind)
        files = {path.relative_to(folder).as_posix(): path for path in _regular_files(folder)}
        check_files(name, files, kind)
        for path in files.values():
            if path.suffix == ".safetensors":
                _check_safetensors(path)
        _check_parts(folder)
        return {"name": name, "files": {inner: _digest(files[inner]) for inner in sorted(files)}}
    except OSError as error:
        raise ShedError(f"{error.filename or folder}: cannot be read ({error.strerror or error})", SETTINGS[kind]) from error


def hub_manifest(name: str, kind: ModelKind, instead: str) -> dict[str, Any]:
    """The newest revision of a model on the hub, which whoever loads it must ask for.

    Args:
        instead: what to use if there is none, for the message.

    Raises:
        ShedError: the hub does not know it or cannot be reached, or no model of this kind can be loaded from its files.
    """
    import httpx2
    from huggingface_hub import model_info
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        found = model_info(name)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ShedError(
            f"{name!r} is neither a packaged {kind} ({instead}) nor a local folder, and the hub did not provide it ({reason})",
            SETTINGS[kind],
        ) from error
    check_files(name, [file.rfilename for file in found.siblings or ()], kind)
    return {"name": name, "revision": found.sha}


def check_files(name: str, files: Iterable[str], kind: ModelKind) -> None:
    """Refuse what has no model of this kind, or weights only in a format that is not read.

    Raises:
        ShedError: it is so.
    """
    paths = [PurePosixPath(file) for file in files]
    _check_layout(name, {path.name for path in paths if len(path.parts) == 1}, kind)
    loaded = [path for path in paths if len(path.parts) == 1 or (kind == "embedder" and MODULE_FOLDER.match(path.parts[0]))]
    safe = {path.parent for path in loaded if path.suffix == ".safetensors"}
    pickled = [path for path in loaded if PICKLED.fullmatch(path.name) and path.parent not in safe]
    if pickled:
        raise ShedError(
            f"{name}: {pickled[0]} is a pickle, which can run code when it is read, and is not read here; {SAVE_AGAIN}",
            SETTINGS[kind],
        )
    if not safe:
        raise ShedError(
            f"{name}: this folder holds no weights (no .safetensors file); save the model there again", SETTINGS[kind]
        )


def _check_layout(name: str, top: set[str], kind: ModelKind) -> None:
    if "adapter_config.json" in top:
        raise ShedError(f"{name}: this is an adapter, not a model; merge it into its base and save that", SETTINGS[kind])
    layouts = ["config.json"] if kind == "language model" else ["config.json", "modules.json"]
    if not top.intersection(layouts):
        raise ShedError(
            f"{name}: this folder holds no model (no {' and no '.join(layouts)}); save one there with save_pretrained",
            SETTINGS[kind],
        )


def _regular_files(folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        real = Path(parent).resolve()
        if real in seen:  # a link to a folder that holds it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in names if not _is_for_people(name)):
            if path.is_symlink() and not path.exists():
                raise ShedError(f"{path}: this link leads nowhere; save the model again")
            if path.is_file():
                yield path


def _raise(error: OSError) -> None:
    raise error


def _is_for_people(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return path.suffix in IMAGES | {".md"} or (path.stem in TEXTS and path.suffix in TEXT_ENDINGS) or name.startswith(".")


def _check_safetensors(path: Path) -> None:
    """Read the header, which says how long the file must be."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            empty = not list(file.keys())
    except SafetensorError as error:
        raise ShedError(f"{path}: not a whole safetensors file ({error}); copy or save it again") from error
    if empty:
        raise ShedError(f"{path}: holds no weights; save the model again")


def _check_parts(folder: Path) -> None:
    """Refuse weights in several files of which one is missing."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return
    try:
        parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ShedError(f"{index}: not an index of weight files; save the model again") from error
    missing = sorted(str(part) for part in parts if not (folder / str(part)).is_file())
    if missing:
        raise ShedError(f"{folder}: {missing[0]} is missing, which {index.name} names; copy it there")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
