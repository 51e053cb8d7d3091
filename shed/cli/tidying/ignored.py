"""Whether git leaves alone what DVC keeps: of a run that was stopped, DVC may not have told git yet.

In: a project's folder. Out: findings; lines for .gitignore lose nothing.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from shed.cli.making.folder import ignore, kept_by_dvc
from shed.cli.sharing.revisions import git
from shed.cli.tidying.findings import Finding

NAMED = 3  # paths in a line


def find_not_ignored(root: Path) -> Iterator[Finding]:
    """Outputs that git would take up, and those that it has taken up."""
    pipeline = root / "dvc.yaml"
    kept = kept_by_dvc(pipeline.read_text(encoding="utf-8")) if pipeline.is_file() else ()
    paths = [path.removeprefix("/") for path in kept if (root / path.removeprefix("/")).exists()]
    if not paths:
        return
    new = [path for path in paths if git(root, "ls-files", "--others", "--exclude-standard", "--", path)]
    if new:
        yield Finding(
            f"git does not ignore what DVC keeps: {_named(new)}",
            str(root / ".gitignore"),
            "add these paths to it",
            partial(ignore, root / ".gitignore", [f"/{path}" for path in new]),
        )
    tracked = [path for path in paths if git(root, "ls-files", "--", path)]
    if tracked:
        do = f"`git rm -r --cached {' '.join(tracked[:NAMED])}`, which leaves the files, and commit"
        yield Finding(f"git holds what DVC keeps, too: {_named(tracked)}", str(root), do)


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(paths[:NAMED])}{more}"
