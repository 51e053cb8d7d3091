"""A revision of a project: its params, metrics and selection, as they were committed or as they lie in the workspace.

In: a name that git or DVC knows, or none for the workspace. Out: a `Revision`. What git holds is read from git; what DVC
holds, from its cache or its remote.
"""

import io
import json
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed.cli.sharing.lock import locked_outs
from shed.common.errors import ShedError
from shed.data.formats.yaml_text import MOST_BYTES, parse_yaml, utf8

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = re.compile(r"[\w.-]+", re.ASCII)
METRICS = "metrics"
MOST_REASON = 200  # characters of another library's message
SELECTION, SELECTED_RECORDS = "data/selection.parquet", "data/selection.jsonl"
WORKSPACE = "workspace"


class NotCachedError(ShedError):
    """A file that DVC holds is neither in the cache nor in a remote."""


@dataclass(frozen=True)
class Revision:
    """A project at a commit, or as it is now.

    Attributes:
        name: as the user calls it.
        root: the project's folder.
        commit: the commit's digest; None: the workspace.
    """

    name: str
    root: Path
    commit: str | None

    @property
    def called(self) -> str:
        """Its name, with the commit where the name does not say it."""
        if self.commit is None or self.commit.startswith(self.name):
            return self.name
        return f"{self.name} ({self.commit[:7]})"

    @cached_property
    def params(self) -> dict[str, Any]:
        """Every param by its dotted key."""
        content = self._committed("params.yaml")
        if content is None:
            raise ShedError(f"{self.called} has no params.yaml: it is no revision of this project")
        where = f"params.yaml of {self.called}"
        if len(content) > MOST_BYTES:
            raise ShedError(f"{where}: more than {MOST_BYTES:,} bytes, which is no file of params")
        try:
            return flat(parse_yaml(utf8(content, where), where, "dvc"))
        except ShedError as error:
            raise ShedError(f"{error}; `git diff params.yaml` may show why") from error

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What each file of metrics holds, by its name: `verdict` for metrics/verdict.json."""
        found = {}
        for name in self._metrics_files():
            content = self._committed(f"{METRICS}/{name}.json")
            if content is not None:
                found[name] = _parsed(content, f"{METRICS}/{name}.json of {self.called}")
        return found

    @cached_property
    def selection(self) -> "pd.DataFrame":
        """The selected rows: `id`, `source`, `reason` and more.

        Raises:
            NotCachedError: they cannot be had here.
        """
        import pandas as pd

        return pd.read_parquet(io.BytesIO(self._held(SELECTION)))

    @cached_property
    def selected_records(self) -> dict[str, dict[str, Any]]:
        """The selected records whole, by id.

        Raises:
            NotCachedError: they cannot be had here.
        """
        lines = self._held(SELECTED_RECORDS).decode("utf-8").split("\n")
        return {row["id"]: row for row in map(json.loads, filter(None, lines))}

    def _metrics_files(self) -> list[str]:
        if self.commit is None:
            return sorted(path.stem for path in (self.root / METRICS).glob("*.json"))
        listed = git(self.root, "ls-tree", "--name-only", self.commit, f"{METRICS}/") or b""
        return sorted(Path(path).stem for path in listed.decode().splitlines() if path.endswith(".json"))

    def _committed(self, path: str) -> bytes | None:
        """A file that git holds; None if it is not there."""
        if self.commit is None:
            return (self.root / path).read_bytes() if (self.root / path).is_file() else None
        return git(self.root, "show", f"{self.commit}:./{path}")

    def _cached(self, path: str) -> bytes | None:
        """A file that lies where DVC's cache has it by default: asking DVC itself takes a second, which is for other places."""
        lock = self._committed("dvc.lock")
        digest = locked_outs(lock).get(path, "") if lock is not None else ""
        cached = _top(self.root) / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        return cached.read_bytes() if cached.is_file() else None

    def _held(self, path: str) -> bytes:
        """A file that DVC holds."""
        if self.commit is None and (self.root / path).is_file():
            return (self.root / path).read_bytes()
        cached = self._cached(path)
        if cached is not None:
            return cached
        from dvc.api import DVCFileSystem  # type: ignore[import-untyped]

        try:
            files = DVCFileSystem(str(self.root), rev=self.commit)
            with files.open((self.root.relative_to(_top(self.root)) / path).as_posix()) as file:
                content: bytes = file.read()
        except Exception as error:  # the libraries of remotes raise what they like
            lock = self._committed("dvc.lock")
            if isinstance(error, FileNotFoundError) and path not in (locked_outs(lock) if lock is not None else {}):
                raise NotCachedError(
                    f"{path} was never made in {self.called}, as far as its dvc.lock says; after `shed run`, commit dvc.lock "
                    "and metrics"
                ) from error
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:MOST_REASON]
            raise NotCachedError(
                f"{path} of {self.called} is neither in DVC's cache nor can a remote give it ({reason}); `dvc push` where it "
                "was made, and `dvc fetch --all-commits` here"
            ) from error
        return content


def find_revision(root: Path, name: str | None) -> Revision:
    """The commit, branch, tag or experiment of DVC of this name; None is the workspace.

    Raises:
        ShedError: there is none, or the experiment's name is not unique.
    """
    if name is None or name == WORKSPACE:
        return Revision(WORKSPACE, root, None)
    commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit is not None:
        return Revision(name, root, commit.decode().strip())
    found = []
    if EXPERIMENT.fullmatch(name):
        listed = git(root, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}") or b""
        found = listed.decode().split()
    if len(found) > 1:
        raise ShedError(
            f"{len(found)} experiments are called {name}: write the commit of one, {', '.join(one[:7] for one in found)}"
        )
    if not found:
        raise ShedError(
            f"git and DVC know no revision {name!r}; `git branch --all` and `dvc exp list --all-commits` list them, and a "
            "shallow clone has to fetch it first"
        )
    return Revision(name, root, found[0])


def git(root: Path, *arguments: str) -> bytes | None:
    """What git prints; None where it fails.

    Raises:
        ShedError: there is no git, or the project is in no repository.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)  # noqa: S607
    except FileNotFoundError as error:
        raise ShedError("git is not installed, or not on PATH; the project's history is in it") from error
    if done.returncode and b"not a git repository" in done.stderr:
        raise ShedError(f"{root} is in no git repository: `git init` makes one, and its commits are what is compared")
    if done.returncode and b"dubious ownership" in done.stderr:
        raise ShedError(
            f"git does not trust {root}, which belongs to another user: `git config --global --add safe.directory {root}`"
        )
    return None if done.returncode else done.stdout


def _top(root: Path) -> Path:
    """The folder of DVC's repository: the project's, or one above it."""
    return next((one for one in (root, *root.parents) if (one / ".dvc").is_dir()), root)


def _parsed(content: bytes, where: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise ShedError(f"{where} is not JSON; `shed run` writes it anew") from error


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested dictionaries by their dotted keys; a list is a leaf."""
    if not isinstance(value, dict):
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, inner in value.items():
        leaves |= flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return leaves
