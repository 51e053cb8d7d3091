"""What code a stage is of, and one digest of it.

In: the name of a stage's module. Out: its files, and a digest that changes where what the stage does may change.

In a checkout, `dvc.yaml` names these files. In a user's project the code is in an installed package, out of DVC's sight, and
the digests stand in a file that DVC watches.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from shed.common.import_closure import ROOT, code_digest, import_closure

NAMED = {".j2", ".txt", ".yaml"}  # templates and task files, which modules name


def code_of(*modules: str, root: Path = ROOT) -> set[Path]:
    """The modules that these import, themselves among them, and the files beside them that they name."""
    found = import_closure(*modules, root=root)
    return {*found, *(named for module in found for named in files_named(module))}


def files_named(module: Path) -> set[Path]:
    """The files that a module names, in its folder or one below, that are not code: templates, task files."""
    strings = _strings(module.read_text(encoding="utf-8"))
    beside = [path for pattern in ("*", "*/*") for path in module.parent.glob(pattern)]
    return {path for path in beside if path.suffix in NAMED and path.name != "dvc.yaml" and path.name in strings}


def stage_digest(stage: str, root: Path = ROOT) -> str:
    """16 hex digits that change with the code of `stages.<stage>` and with the files that it names; not with comments."""
    module = f"stages.{stage}"
    digest = hashlib.sha256(code_digest(module, root=root).encode())
    for path in sorted(code_of(module, root=root)):
        if path.suffix in NAMED:
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _strings(text: str) -> frozenset[object]:
    """The constants in a source."""
    return frozenset(node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
