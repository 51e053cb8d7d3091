"""Which stages DVC would run, and why: now, or after changes of params that are not made.

In: a project and changes as `dvc exp run -S` takes them. Out: params as they would be, and for each stage what has changed of
what it depends on. Nothing of the project is touched.

What has changed on disk is what `dvc status` says of the project. What changes of params do is what it says of a folder that
has nothing but the pipeline, its lock file and the changed params.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from shed.cli.project import Project, read_lock, read_stages
from shed.cli.running.stages import needs, order
from shed.cli.status import RunGoesOn, dvc_status, status_during_a_run
from shed.common.errors import ShedError
from shed.common.spelling import nearest
from shed.data.formats.yaml_text import read_yaml
from shed.params import Params, load_params

Runs = Literal["yes", "maybe", "no"]
PARAMS, PIPELINE = "params.yaml", ("dvc.yaml", "dvc.lock")
ALWAYS = "always changed"
NEVER = "has not run yet"
PLACE = re.compile(r"\$\{([\w.]+)\}")  # in dvc.yaml, a value of params
KEY = re.compile(r"[\w.]+")
CHECKS = {"lengths": "model"}  # stages that check more params than these, on which alone what they write depends
NO_SCM = "[core]\n    no_scm = true\n    analytics = false\n"


@dataclass(frozen=True)
class Changed:
    """What would run.

    Attributes:
        params: as they would be.
        why: for each stage that would run for itself what has changed; an empty list for one that only runs each time.
        each_time: stages that run each time. What they will write is looked up (`shed.cli.running.outside`).
        runs: for each stage, in their order: whether it runs; "maybe" where a stage before it may write something else.
        during_a_run: whether a run is going on; what it has not finished counts as not begun.
    """

    params: Params
    why: dict[str, list[str]]
    each_time: frozenset[str]
    runs: dict[str, Runs]
    during_a_run: bool = False


def what_would_run(project: Project, changes: Sequence[str], outside: Callable[[Params], Mapping[str, str]]) -> Changed:
    """Of the pipeline in the project's folder.

    Args:
        outside: says what stages that run each time will write anew: for each path why.

    Raises:
        ShedError: DVC cannot tell, or the changed params are refused.
    """
    root = project.root
    with _changed_copy(root, changes) as copy:
        params = _checked(root, copy, changes)
        status, during_a_run = _status(root)
        reasons = [_reasons(status, own_params=not changes)]
        if changes:
            reasons += [_reasons(dvc_status(copy), own_params=True, files=False), _moved(root, copy)]
    reasons.append(_readers(root, outside(params)))
    locked = _locked(root)
    reasons = [{name: own if name in locked else [NEVER] for name, own in found.items()} for found in reasons]
    each_time = frozenset(name for name, entries in status.items() if ALWAYS in entries)
    why: dict[str, list[str]] = {name: [] for name in each_time}
    for found in reasons:
        for name, own in found.items():
            why[name] = list(dict.fromkeys([*why.get(name, []), *own]))
    return Changed(params, why, each_time, _reached(root, why, each_time), during_a_run)


def _status(root: Path) -> tuple[dict[str, Any], bool]:
    """What DVC says of each stage, and whether a run is going on."""
    try:
        return dvc_status(root), False
    except RunGoesOn:
        return status_during_a_run(root), True


def _locked(root: Path) -> frozenset[str]:
    """The stages that have run to their end before."""
    lock = root / "dvc.lock"
    return frozenset(read_lock(lock.read_bytes()) if lock.is_file() else ())


def _reached(root: Path, why: Mapping[str, list[str]], each_time: frozenset[str]) -> dict[str, Runs]:
    needed, runs = needs(root), dict[str, Runs]()

    def writes(stage: str) -> bool:
        """Whether it may write something else than before, as far as is not looked up."""
        return stage not in each_time and not _only_checks(stage, why[stage])

    for name in order(root):
        reached = any(runs[one] == "maybe" or (runs[one] == "yes" and writes(one)) for one in needed[name])
        runs[name] = "yes" if name in why else "maybe" if reached else "no"
    return runs


def _only_checks(stage: str, why: Sequence[str]) -> bool:
    """Whether nothing has changed on which the stage's outputs depend."""
    if stage not in CHECKS:
        return False
    return all(one.startswith("param ") and one.split()[1].split(".")[0] != CHECKS[stage] for one in why)


def _readers(root: Path, paths: Mapping[str, str]) -> dict[str, list[str]]:
    """The stages that read these paths, with what is said of each path."""
    stages = read_stages(root)
    reasons = {name: [paths[path] for path in stage.get("deps") or [] if path in paths] for name, stage in stages.items()}
    return {name: own for name, own in reasons.items() if own}


def check_changes(root: Path, changes: Sequence[str]) -> tuple[Params, str]:
    """The params with these changes, which are made nowhere, and the file as it would be.

    Raises:
        ShedError: they are refused.
    """
    with _changed_copy(root, changes) as copy:
        return _checked(root, copy, changes), (copy / PARAMS).read_text(encoding="utf-8")


@contextmanager
def naming_changes(changes: Sequence[str]) -> Iterator[None]:
    """In this block an error names the change that it is about by `-S`, since params.yaml has another value."""
    try:
        yield
    except ShedError as error:
        raise ShedError(of_changes(str(error), changes), error.setting) from error


def of_changes(said: str, changes: Sequence[str]) -> str:
    """What is said of params, with the changes that it is about before it."""
    keys = {change: change.partition("=")[0].lstrip("+~") for change in changes}
    groups = {change: [key, *(outer for outer in _outer(key) if "." in outer)] for change, key in keys.items()}
    about = [
        change for change, own in groups.items() if any(re.search(rf"(?<![\w.]){re.escape(one)}(?!\w)", said) for one in own)
    ]
    if not about or said.startswith("-S "):
        return said
    said = said.removeprefix(f"{PARAMS}: ")
    for change in about:
        said = said.replace(f"({keys[change]} in {PARAMS})", f"({keys[change]})")
    return f"-S {' -S '.join(about)}: {said}"


@contextmanager
def _changed_copy(root: Path, changes: Sequence[str]) -> Iterator[Path]:
    with TemporaryDirectory(prefix="shed-plan-") as folder:
        copy = Path(folder)
        for name in (*PIPELINE, PARAMS):
            if (root / name).is_file():
                shutil.copy(root / name, copy / name)
        (copy / ".dvc").mkdir()
        (copy / ".dvc/config").write_text(NO_SCM, encoding="utf-8")
        if changes:
            _apply(copy / PARAMS, changes)
        yield copy


def _checked(root: Path, copy: Path, changes: Sequence[str]) -> Params:
    try:
        return load_params(copy / PARAMS)
    except ShedError as error:
        said = str(error).replace(f"{copy}{os.sep}", "")
        if not changes:
            raise ShedError(said) from error
        load_params(root / PARAMS)  # if the file itself is wrong, that is the error
        named = of_changes(said, changes)
        whole = f"-S {' -S '.join(changes)}: {said.removeprefix(f'{PARAMS}: ')}"
        raise ShedError(whole if named == said else named) from error


def _apply(path: Path, changes: Sequence[str]) -> None:
    """As `dvc exp run -S` does it."""
    from dvc.exceptions import DvcException  # type: ignore[import-untyped]
    from dvc.utils.hydra import apply_overrides  # type: ignore[import-untyped]

    params = read_yaml(path, "file of params", "dvc")
    for change in changes:
        _refuse_unknown(change, params)
    try:
        apply_overrides(path, list(changes))
    except DvcException as error:
        reason = " ".join(str(error.__cause__ or error).partition("See https:")[0].split())
        raise ShedError(f"-S {' -S '.join(changes)}: {reason}; write KEY=VALUE, with a key of params.yaml") from error


def _refuse_unknown(change: str, params: Mapping[str, Any]) -> None:
    """Say in our words what Hydra would say in its own of a key that is not there, or of a change without a value.

    Raises:
        ShedError: it is so.
    """
    key, equals, _ = change.partition("=")
    if not KEY.fullmatch(key):
        return  # Hydra adds with + and removes with ~
    if not equals:
        raise ShedError(f"-S {change}: no value; write KEY=VALUE, as -S sampler=random")
    known = dict(_flat(params))
    if key in known or any(known.get(outer) is None for outer in _outer(key) if outer in known):
        return
    last = {name.rpartition(".")[2]: name for name in known}
    close = nearest(key, known) or last.get(nearest(key.rpartition(".")[2], last) or "")
    hint = f"did you mean {close!r}?" if close else "`python -m shed.params` has all keys"
    raise ShedError(f"-S {change}: params.yaml has no key {key!r}; {hint}")


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names of all keys, groups among them, and their values."""
    for key, value in section.items():
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")


def _outer(key: str) -> list[str]:
    """The groups that a key is in."""
    parts = key.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _reasons(status: Mapping[str, Any], *, own_params: bool, files: bool = True) -> dict[str, list[str]]:
    """Why each stage runs; in a folder without files only params and commands count."""
    found: dict[str, list[str]] = {}
    for name, entries in status.items():
        reasons: list[str] = []
        for entry in entries:
            if isinstance(entry, dict):
                reasons += [one for kind, things in entry.items() for one in _of(kind, things, own_params, files)]
            elif entry != ALWAYS and own_params:
                reasons.append(str(entry))
        if reasons:
            found[name] = reasons
    return found


def _of(kind: str, things: Mapping[str, Any], own_params: bool, files: bool) -> Iterator[str]:
    for path, state in things.items():
        if path == PARAMS:
            if own_params:
                yield from (f"param {key} {how}" for key, how in _keys(state).items())
        elif files:
            yield f"{path} {state if isinstance(state, str) else 'modified'}" + (" (output)" if kind == "changed outs" else "")


def _keys(state: Any) -> dict[str, str]:
    return {str(key): str(how) for key, how in state.items()} if isinstance(state, dict) else {"(any)": str(state)}


def _moved(root: Path, copy: Path) -> dict[str, list[str]]:
    """Stages of which a file that they read has another path under the changed params."""
    stages = read_stages(root)
    old, new = (read_yaml(folder / PARAMS, "file of params", "dvc") for folder in (root, copy))
    found: dict[str, list[str]] = {}
    for name, stage in stages.items():
        for key in PLACE.findall(" ".join(path for path in stage.get("deps") or [] if isinstance(path, str))):
            if _value(old, key) != _value(new, key):
                found.setdefault(name, []).append(f"param {key} modified")
    return found


def _value(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params.get(part) if isinstance(params, dict) else None
    return params
