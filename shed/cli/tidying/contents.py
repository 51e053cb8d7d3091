"""What lies in the user's cache folder and in a project's .shed, how large it is, and whether this project uses it.

In: a project's folder. Out: `Item`s, and their removal.
"""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shed.cli.terminal import counted
from shed.cli.tidying.findings import size
from shed.common.errors import ShedError
from shed.common.import_closure import code_digest
from shed.data.packaged import cache_folder

UTILITIES = "shed.valuation.tuning_game"  # the code that a kept evaluation is of
PACKAGED = re.compile(r"packaged/[\w.-]+", re.ASCII)
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
OTHERS = {".venv", ".git", ".dvc", ".shed"}  # folders without params and recipes
ROWS = "DELETE FROM {} WHERE game = ?"
TABLES = ("evaluations", "marginals", "diverged", "digests", "damaged", "games")  # games last: the others refer to them

FOLDERS = {  # of .shed
    "ratings": "ratings that were stopped",
    "embeddings": "embeddings that were stopped",
    "results": "results of a Selector",
}


@dataclass(frozen=True)
class Item:
    """Something that is kept.

    Attributes:
        what: in a few words.
        where: the file or folder.
        bytes: how large it is; of evaluations in the ledger about.
        written: when it was last written to, in seconds since 1970.
        used: whether this project uses it; None where that cannot be known.
        costly: it was measured, and would have to be measured again.
        remove: does it.
    """

    what: str
    where: Path
    bytes: int
    written: float
    used: bool | None
    costly: bool
    remove: Callable[[], None]


def contents(root: Path) -> Iterator[Item]:
    """All that is kept: models and wheels in the user's cache, then evaluations and runs of the project."""
    yield from _of_cache(root)
    yield from _of_ledger(root / ".shed" / "ledger.sqlite")
    runs = sorted((root / ".shed" / "runs").glob("*.parquet"))
    if runs:
        remove = partial(_unlink, runs)
        yield Item(
            counted(len(runs), "run of a tuned model", "runs of tuned models"),
            root / ".shed/runs",
            sum(map(size, runs)),
            _newest(*runs),
            None,
            True,
            remove,
        )
    for damaged in sorted((root / ".shed" / "runs").glob("*.damaged-*")):
        yield Item("a damaged run", damaged, size(damaged), _newest(damaged), False, True, partial(_unlink, [damaged]))
    for name, what in FOLDERS.items():
        own = root / ".shed" / name
        if own.is_dir() and any(own.iterdir()):
            yield Item(what, own, size(own), _newest(own), None, True, partial(shutil.rmtree, own))


def _of_cache(root: Path) -> Iterator[Item]:
    from shed.models.loading import PACKAGED as MODELS

    text = "\n".join(_settings(root))
    models = [MODELS[name] for name in set(PACKAGED.findall(text)) if name in MODELS]
    digests = {model.wheel.sha256 for model in models} | set(DIGEST.findall(text))
    folders = {
        f"{name.removeprefix('packaged/')}-{model.wheel.sha256[:12]}" for name, model in MODELS.items() if model in models
    }
    for kind, used in (("model", folders), ("wheel", digests)):
        for folder in sorted((cache_folder() / f"{kind}s").glob("[!.]*")):
            files = [path for path in folder.rglob("*") if path.is_file()]
            if kind == "model" or folder.name in used or DIGEST.fullmatch(folder.name):
                name = folder.name if kind == "model" else next((path.name for path in files), folder.name)
                remove = partial(shutil.rmtree, folder)
                yield Item(f"{kind} {name}", folder, size(folder), _newest(folder), folder.name in used, False, remove)


def _settings(root: Path) -> Iterator[str]:
    """The text of each YAML file of the project: what it names is used, whichever pipeline or profile it belongs to."""
    for suffix in ("*.yaml", "*.yml"):
        for path in root.rglob(suffix):
            if not OTHERS & set(path.relative_to(root).parts):
                yield path.read_text(encoding="utf-8", errors="replace")


def _of_ledger(ledger: Path) -> Iterator[Item]:
    for damaged in sorted(ledger.parent.glob(f"{ledger.name}.damaged-*")):
        yield Item("a damaged ledger", damaged, size(damaged), _newest(damaged), False, True, partial(_unlink, [damaged]))
    if not ledger.is_file():
        return
    code = code_digest(UTILITIES)
    try:
        with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = lambda text: text.decode(errors="replace")  # a bit of it may have changed
            games = connection.execute("SELECT game, description FROM games").fetchall()
            sizes = dict(connection.execute("SELECT game, COUNT(*) FROM evaluations GROUP BY game").fetchall())
            blobs = dict(connection.execute("SELECT game, SUM(LENGTH(marginals)) FROM marginals GROUP BY game").fetchall())
            aside = "damaged" in _tables(connection) and connection.execute("SELECT COUNT(*) FROM damaged").fetchone()[0]
    except sqlite3.Error as error:
        raise ShedError(f"{ledger} cannot be read ({error}); the next run moves a damaged ledger aside") from error
    if aside:
        remove = partial(_forget, ledger, None)
        yield Item(f"{aside} damaged evaluations", ledger, 100 * aside, _newest(ledger), False, True, remove)
    for used, whose in ((True, "today's code"), (False, "other code")):
        keys = [key for key, description in games if (_code(description) == code) == used]
        if keys:
            count = sum(sizes.get(key, 0) for key in keys)
            bytes = sum(len(text) for key, text in games if key in keys) + sum(blobs.get(key, 0) for key in keys) + 100 * count
            remove = partial(_forget, ledger, keys)
            yield Item(f"{count} evaluations of {whose}", ledger, bytes, _newest(ledger), used, True, remove)


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Those that this version knows, of which a ledger of an older one may lack some."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return [table for table in TABLES if table in there]


def _code(description: str) -> str | None:
    try:
        value = json.loads(description)
    except ValueError:  # it is damaged
        return None
    return value.get("code") if isinstance(value, dict) else None


def _forget(ledger: Path, games: list[str] | None) -> None:
    """Delete games from the ledger; one that a process plays now is left. None: what is damaged, whatever the game.

    Raises:
        ShedError: another process writes to the ledger for a long time.
    """
    from filelock import FileLock, Timeout

    try:
        with closing(sqlite3.connect(ledger, timeout=30)) as connection:
            tables = _tables(connection)
            if games is None:
                with connection:
                    connection.execute("DELETE FROM damaged")
            for game in games or ():
                try:
                    with FileLock(ledger.with_name(f"{ledger.stem}-{game}.lock"), timeout=0), connection:
                        for table in tables:
                            connection.execute(ROWS.format(table), (game,))
                except Timeout:
                    continue
            connection.execute("VACUUM")
    except sqlite3.Error as error:
        raise ShedError(f"cannot write the ledger {ledger} ({error}); wait until no run uses it") from error


def _unlink(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _newest(*places: Path) -> float:
    return max(one.lstat().st_mtime for place in places for one in (place, *place.rglob("*")))
