"""What code a result rests on: the project's modules that a module imports, directly or not, and one digest of them all.

In: names of modules. Out: their source files, and a digest that is blind to comments, docstrings and layout.

A module that changes no output (errors, progress) says so with a line `OUTPUTS_DEPEND_ON = ()`, and is left out. A module of
which only some names affect outputs lists those names; it counts only where one of them is imported.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "OUTPUTS_DEPEND_ON"
OWN = frozenset({"shed", "stages", "experiments", "benchmarks"})  # where shed is installed, others lie beside it


def import_closure(*modules: str, root: Path = ROOT) -> list[Path]:
    """The source files of these modules and of all that they import from below `root`, at their top or in functions, sorted.

    Raises:
        FileNotFoundError: there is no such module below `root`.
    """
    found: set[Path] = set()
    own = OWN | {module.split(".")[0] for module in modules}
    for module in modules:
        path = _source(module, root)
        if path is None:
            raise FileNotFoundError(f"{module}: no such module in {root}")
        _collect(path, root, own, found)
    return sorted(found)


@cache
def code_digest(*modules: str, root: Path = ROOT) -> str:
    """16 hex digits that change with the code of these modules or of any that they import; see `import_closure`."""
    digest = hashlib.sha256()
    for path in import_closure(*modules, root=root):
        digest.update(f"{path.relative_to(root).as_posix()}\n{_bare(path.read_text(encoding='utf-8'))}\n".encode())
    return digest.hexdigest()[:16]


@cache
def _bare(text: str) -> str:
    """A source without comments, docstrings and layout."""
    tree = ast.parse(text)
    _drop_docstrings(tree)
    return ast.unparse(tree)


def _collect(path: Path, root: Path, own: frozenset[str], found: set[Path]) -> None:
    if path in found:
        return
    found.add(path)
    for source, names in _imports(path.read_text(encoding="utf-8"), root, own):
        counts = _output_names(source)
        if counts is None or (counts if names is None else counts & names):
            _collect(source, root, own, found)


def _imports(text: str, root: Path, own: frozenset[str]) -> Iterator[tuple[Path, set[str] | None]]:
    """Each imported source file below the root, with the names that are taken from it, None if it is imported as a whole.

    The packages that it is in are imported, too; they count if they have code of their own.
    """
    for node in _import_statements(text):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules: dict[str, set[str] | None] = {node.module: {alias.name for alias in node.names}}
            modules |= {f"{node.module}.{alias.name}": None for alias in node.names}
        elif isinstance(node, ast.Import):
            modules = {alias.name: None for alias in node.names}
        else:
            continue
        for module, names in modules.items():
            parts = module.split(".")
            if parts[0] not in own:
                continue
            for depth in range(1, len(parts) + 1):
                source = _source(".".join(parts[:depth]), root)
                if source is not None and (source.name != "__init__.py" or has_code(source)):
                    yield source, names if depth == len(parts) else set()


@cache
def _import_statements(text: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(_parsed(text)) if isinstance(node, ast.Import | ast.ImportFrom))


def _source(module: str, root: Path) -> Path | None:
    path = root / module.replace(".", "/")
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def _output_names(path: Path) -> set[str] | None:
    """The names that reach an output; None for a module that counts as a whole."""
    for node in _tree(path).body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == MARK and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            return set(ast.literal_eval(node.value))
    return None


def has_code(path: Path) -> bool:
    """Whether a source file has more than a docstring."""
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in _tree(path).body)


def _tree(path: Path) -> ast.Module:
    return _parsed(path.read_text(encoding="utf-8"))


@cache
def _parsed(text: str) -> ast.Module:
    """A source's syntax, which nobody may change: the stages import the same modules again and again."""
    return ast.parse(text)


def _drop_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:] or [ast.Pass()]
