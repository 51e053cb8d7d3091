"""A project's folder: what is written into it, and how git and DVC take it up.

In: a folder that is free, and the text of its params. Out: the pipeline, the digests of its code, the files of the demo, and a
first commit where the repository is new.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from shed.cli.making.stage_code import stage_digest
from shed.cli.making.template import CODE, DEMO, PIPELINE, PLOTS, QUESTIONS, TEMPLATE
from shed.common.atomic_io import write_text
from shed.common.errors import ShedError
from shed.data.formats.hub import SCHEME
from shed.data.tasks.documents import SCHEME as TASK
from shed.data.tasks.documents import is_task
from shed.data.tasks.files import is_task_file

OWN_FILES = ("dvc.yaml", "params.yaml", CODE)  # never written over when a project is made
TRACKERS = ("/dvclive/", "/mlruns/", "/mlflow.db", "/wandb/")  # where trackers write that are not told another place
IGNORED = {
    ".gitignore": ("__pycache__/", ".venv/", ".shed/", "/dvc_plots/", *TRACKERS),
    ".dvcignore": ("__pycache__", ".venv", ".shed"),
}
DVC_SETTINGS = "[core]\n    analytics = false\n    autostage = true\n    check_update = false\n"
FIRST_COMMIT = "A project of shed"


class WithNull(RoundTripRepresenter):
    """Writes null where ruamel would write nothing."""


WithNull.add_representer(type(None), lambda own, _: own.represent_scalar("tag:yaml.org,2002:null", "null"))


def check_free(root: Path) -> None:
    """Refuse a folder that has a pipeline already, or is none.

    Raises:
        ShedError: what is in the way.
    """
    if root.exists() and not root.is_dir():
        raise ShedError(f"{root} is a file; name a folder")
    there = [name for name in OWN_FILES if (root / name).exists()]
    if there:
        raise ShedError(f"{root} has {', '.join(there)} already: choose another folder, or change its params.yaml by hand")


def path_from(root: Path, where: str) -> str:
    """A path as params have it: relative to the project where it lies in it, else whole; ids of a hub as they are."""
    if is_task(where) and is_task_file(where):
        return TASK + path_from(root, where.removeprefix(TASK))
    if where.startswith(SCHEME) or is_task(where):
        return where
    path = Path(where).expanduser()
    if not path.is_absolute() and not _there(path):
        return where  # an id of a hub, or a packaged model
    whole = path if path.is_absolute() else Path.cwd() / path
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)


def params_text(changes: Mapping[str, Any]) -> str:
    """The text of `params.yaml`: the defaults, with these values by their dotted names."""
    yaml = YAML()  # ruamel's round trip: plain values, no objects of a file's choice
    yaml.preserve_quotes = True
    yaml.width = 128
    yaml.Representer = WithNull
    params = yaml.load((TEMPLATE / "params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *groups, last = key.split(".")
        section = params
        for group in groups:
            section = section[group]
        section[last] = value
    text = StringIO()
    yaml.dump(params, text)
    return text.getvalue()


def repository_of(folder: Path) -> Path | None:
    """The top of the git repository that a folder is in, or will be in; None if there is none."""
    there = next(one for one in (folder, *folder.parents) if one.is_dir())
    top = _run(there, "git", "rev-parse", "--show-toplevel", fails=True) if shutil.which("git") else None
    return None if top is None else Path(top).resolve()


def make_project(root: Path, params: str, demo: bool, more: Callable[[Path, Path], list[Path]] | None = None) -> bool:
    """Write the project, with the recipes of the packaged data for a demo; True if it was committed, which only a repository is
    that was made here.

    Args:
        more: writes other files, of the project's folder and its repository's, and names them.

    Raises:
        ShedError: the folder cannot be written, or git or DVC refuse.
    """
    if shutil.which("git") is None:
        raise ShedError("git is not there; a project of shed is kept in git: install it")
    root.mkdir(parents=True, exist_ok=True)
    top = _run(root, "git", "rev-parse", "--show-toplevel", fails=True)
    if top is None:
        _run(root, "git", "init", "--quiet", "--initial-branch=main")
    if not (root / ".dvc").is_dir():
        below = [] if top is None or Path(top).resolve() == root else ["--subdir"]
        _run(root, sys.executable, "-m", "dvc", "init", "--quiet", *below)
        write_text(root / ".dvc/config", DVC_SETTINGS)
    write_text(root / "params.yaml", params)
    write_pipeline(root)
    files = DEMO if demo else (QUESTIONS,)
    for name in files:
        if not (root / name).exists():
            write_text(root / name, (TEMPLATE / name).read_text(encoding="utf-8"))
    for name, lines in IGNORED.items():
        ignore(root / name, lines)
    made = [*OWN_FILES, *files, *IGNORED, ".dvc"]
    if more is not None:
        made += [str(path) for path in more(root, Path(top).resolve() if top else root)]
    _run(root, "git", "add", "--", *made)
    return top is None and _run(root, "git", "commit", "--quiet", "-m", FIRST_COMMIT, fails=True) is not None


def write_pipeline(root: Path) -> None:
    """The installed version's `dvc.yaml`, plot templates and digests."""
    for path in sorted((TEMPLATE / PLOTS).glob("*.json")):
        write_text(root / ".dvc" / PLOTS / path.name, path.read_text(encoding="utf-8"))
    text = (TEMPLATE / PIPELINE).read_text(encoding="utf-8")
    ignore(root / ".gitignore", kept_by_dvc(text))
    write_text(root / CODE, json.dumps(code_digests(text), indent=2) + "\n")
    write_text(root / "dvc.yaml", text)


def kept_by_dvc(pipeline: str) -> tuple[str, ...]:
    """The paths of stages' outputs that are DVC's to keep, as git ignores them.

    DVC writes them into .gitignore only where a run ends well; of a stopped one they would go into git.
    """
    stages = ((YAML(typ="safe", pure=True).load(pipeline) or {}).get("stages") or {}).values()
    outs = [out for stage in stages for kind in ("outs", "metrics") for out in stage.get(kind, ())]
    named = [(out, {}) if isinstance(out, str) else next(iter(out.items())) for out in outs]
    return tuple(f"/{path}" for path, settings in named if settings.get("cache", True))


def code_digests(pipeline: str) -> dict[str, Any]:
    """The version that is installed, and the digest of each stage's code."""
    stages = YAML(typ="safe", pure=True).load(pipeline)["stages"]
    return {"shed": installed(), "stages": {name: stage_digest(name) for name in stages}}


def installed() -> str:
    """The version of the package; of a checkout that is not installed there is none."""
    try:
        return version("shed-tuning")
    except PackageNotFoundError:
        return "not installed"


def _there(path: Path) -> bool:
    """Whether a path, or what a glob means, is there."""
    return path.exists() or next(Path().glob(str(path)), None) is not None


def ignore(path: Path, lines: Sequence[str]) -> None:
    """Add the lines that a file of ignored names lacks."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in lines if line not in before.splitlines()]
    if missing:
        gap = "" if not before or before.endswith("\n") else "\n"
        write_text(path, before + gap + "\n".join(missing) + "\n")


def _run(folder: Path, *command: str, fails: bool = False) -> str | None:
    """What a program prints; None where it fails and may.

    Raises:
        ShedError: it fails and may not.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    if fails:
        return None
    said = " ".join((done.stderr or done.stdout).split())
    raise ShedError(f"{' '.join(Path(command[0]).name if n == 0 else word for n, word in enumerate(command))}: {said}")
