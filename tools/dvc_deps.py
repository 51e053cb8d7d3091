"""The code dependencies of every `dvc.yaml`, written from what the stages' programs import.

In: each stage's `cmd` and the import closure of the programs in it. Out: the same files with other deps on code: first the
program's own folder, then the library. Comments, order and all else stay. In the main
pipeline a folder stands for its modules where every stage uses all of them or none.

`make deps` writes the files; `python -m tools.dvc_deps --check` only says which are stale, and exits with 1 if any is.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from shed.cli.making.stage_code import code_of
from shed.common.import_closure import ROOT, has_code

PACKAGES = ("shed", "stages", "experiments", "benchmarks")
PROGRAM = re.compile(r"python -m ([\w.]+)")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.dvc_deps", description="Write, into each dvc.yaml, the Python files that each stage imports."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 1 if a file is stale")
    check = parser.parse_args().check
    stale = [path for path in pipelines() if path.read_text(encoding="utf-8") != renewed(path)]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'stale: run make deps' if check else 'written'}")
        if not check:
            path.write_text(renewed(path), encoding="utf-8")
    sys.exit(1 if check and stale else 0)


def pipelines(root: Path = ROOT) -> list[Path]:
    """Every `dvc.yaml` of the project."""
    return [root / "dvc.yaml", *sorted((root / "experiments").glob("*/dvc.yaml"))]


def renewed(path: Path, root: Path = ROOT) -> str:
    """The text of a `dvc.yaml` with the code deps of its stages as they should be."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 128
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(path.read_text(encoding="utf-8"))  # ruamel's round trip: plain values, no objects of a file's choice
    used = {name: code_of(*PROGRAM.findall(stage["cmd"]), root=root) for name, stage in document["stages"].items()}
    # a folder outside a DVC repository is hashed with its __pycache__, since no .dvcignore holds there
    folders = whole_folders(used.values(), root) if path.parent == root else set()
    for name, stage in document["stages"].items():
        replace_code(
            stage["deps"], [relative(one, path.parent) for one in with_folders(used[name], folders)], root, path.parent
        )
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def whole_folders(used: Iterable[set[Path]], root: Path = ROOT) -> set[Path]:
    """The folders of which every stage uses all files or none."""
    used = list(used)
    candidates = {path.parent for code in used for path in code if path.is_relative_to(root / "shed")}
    return {
        folder
        for folder in candidates
        for files in [files_of(folder)]
        if len(files) > 1 and all(files <= code or not files & code for code in used)
    }


def files_of(folder: Path) -> set[Path]:
    """All that a dep on the folder would watch, but for an `__init__.py` of a docstring alone."""
    files = {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {path for path in files if path.name != "__init__.py" or has_code(path)}


def with_folders(code: set[Path], folders: set[Path]) -> list[Path]:
    """The code's paths, sorted, a folder in place of its files."""
    inside = {folder for folder in folders if files_of(folder) <= code}
    return sorted({next((folder for folder in inside if path.is_relative_to(folder)), path) for path in code}, key=order)


def order(path: Path) -> tuple[bool, str]:
    """Programs first, then the library."""
    return path.is_relative_to(ROOT / "shed"), str(path)


def relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def replace_code(deps: CommentedSeq, code: list[str], root: Path, folder: Path) -> None:
    """Put the code deps before the others, in place."""
    others = [dep for dep in deps if not is_code(dep, root, folder)]
    deps[:] = [*code, *others]


def is_code(dep: str | CommentedMap, root: Path, folder: Path) -> bool:
    """Whether a dep is on code: a Python file, or anything in a package of the project but for results and settings."""
    path = Path(os.path.normpath(folder / str(dep)))
    if not isinstance(dep, str) or not path.is_relative_to(root):
        return False
    inside = path.relative_to(root)
    return path.suffix == ".py" or inside.parts[0] == "shed" or (inside.parts[0] in PACKAGES and path.suffix == ".j2")


if __name__ == "__main__":
    main()
