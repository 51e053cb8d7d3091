"""Whether Python and its packages, the commands on PATH and the disk are as the pipeline needs them.

In: a project's folder, and the system. Out: findings, of which none can be mended here.
"""

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from shed.cli.tidying.findings import Finding, shown_size
from shed.data.packaged import cache_folder

DISTRIBUTION = "shed-tuning"
CHECKOUT = Path(__file__).parents[3] / "pyproject.toml"
LEAST_FREE = 2_000_000_000  # bytes: a run writes about a quarter of that, a new .venv all of it
COMMANDS = re.compile(r"^ +cmd: (python|shed) ", re.MULTILINE)  # of stages
NEEDED = ("dvc", "torch")  # without these, .venv was not finished
ACTIVATE = "`source .venv/bin/activate`, or whatever activates the environment of shed"


def find_faults(root: Path) -> Iterator[Finding]:
    """What is wrong with Python, packages, PATH, .venv and the disk."""
    yield from _of_python()
    yield from _of_packages()
    yield from _of_path(root)
    yield from _of_venv(root)
    yield from _of_disk(root)


def _of_python() -> Iterator[Finding]:
    own = ".".join(map(str, sys.version_info[:3]))
    if CHECKOUT.is_file():
        allowed = SpecifierSet(tomllib.loads(CHECKOUT.read_text(encoding="utf-8"))["project"]["requires-python"])
        if own not in allowed:
            yield Finding(
                f"Python is {own}, and shed needs {allowed}", sys.executable, "make the environment with another Python"
            )


def _of_packages() -> Iterator[Finding]:
    """DVC and all else that shed needs, in the version that it needs."""
    for text in _requirements():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            yield Finding(f"{needed.name} is not installed", sys.prefix, f"install {needed}, or make .venv anew")
            continue
        if not needed.specifier.contains(found, prereleases=True):
            yield Finding(f"{needed.name} is {found}, and shed needs {needed.specifier}", sys.prefix, f"install {needed}")


def _requirements() -> list[str]:
    if CHECKOUT.is_file():
        return list(tomllib.loads(CHECKOUT.read_text(encoding="utf-8"))["project"]["dependencies"])
    try:
        return requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return []


def _of_path(root: Path) -> Iterator[Finding]:
    """`dvc repro` runs stages with the `python` or `shed` that PATH finds, which should be this one's."""
    own, pipeline = Path(sys.executable).parent, root / "dvc.yaml"
    text = pipeline.read_text(encoding="utf-8", errors="replace") if pipeline.is_file() else ""
    for name in ("dvc", *sorted(set(COMMANDS.findall(text)))):
        found = shutil.which(name)
        if found is None:
            yield Finding(f"{name} is not on PATH", os.environ.get("PATH", ""), f"{ACTIVATE}; `shed run` needs no PATH")
        elif Path(found).parent.resolve() != own.resolve():
            yield Finding(f"{name} on PATH is of another environment than this Python ({own})", found, ACTIVATE)


def _of_venv(root: Path) -> Iterator[Finding]:
    venv = root / ".venv"
    if not venv.is_dir():
        return
    places = [*venv.glob("lib/python*/site-packages"), *venv.glob("Lib/site-packages")]
    lacking = [name for name in NEEDED if not any((place / name).is_dir() for place in places)]
    if lacking:
        do = "delete .venv, and install again (`make test` does in a checkout)"
        yield Finding(f"the environment has no {' and no '.join(lacking)}: its installation did not finish", str(venv), do)


def _of_disk(root: Path) -> Iterator[Finding]:
    seen = set()
    for folder in (root, cache_folder()):
        there = next(one for one in (folder, *folder.parents) if one.exists())
        free, device = shutil.disk_usage(there).free, there.stat().st_dev
        if free < LEAST_FREE and device not in seen:
            do = "make room; `shed cache prune` and `dvc gc --workspace` may help"
            yield Finding(f"only {shown_size(free)} are free, and a run may need {shown_size(LEAST_FREE)}", str(there), do)
        seen.add(device)
