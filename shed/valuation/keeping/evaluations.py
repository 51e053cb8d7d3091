"""Evaluations in tables of SQLite, each with a digest of all that was kept of it, which is checked when it is read.

In: a connection to a ledger's file, and a game's key. Out: evaluations as they were kept. What has changed since, by a disk
that fails or by hand, and what was kept without a digest, is moved into the table `damaged`; whoever asks does not find it.
"""

import contextlib
import hashlib
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shed.common.errors import ShedError
from shed.valuation.game import Evaluation

SCHEMA = """
CREATE TABLE IF NOT EXISTS games (game TEXT PRIMARY KEY, description TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evaluations (
    game TEXT NOT NULL REFERENCES games, coalition TEXT NOT NULL,
    utility REAL, seconds REAL NOT NULL, fte REAL NOT NULL,
    PRIMARY KEY (game, coalition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marginals (
    game TEXT NOT NULL REFERENCES games, name TEXT NOT NULL, marginals BLOB NOT NULL,
    PRIMARY KEY (game, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS diverged (
    game TEXT NOT NULL REFERENCES games, name TEXT NOT NULL, members TEXT NOT NULL,
    PRIMARY KEY (game, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS digests (
    game TEXT NOT NULL REFERENCES games, name TEXT NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (game, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damaged (game, name, utility, seconds, fte, marginals, members, digest, why, noticed);
"""
NAMES = """SELECT coalition FROM evaluations WHERE game = ?1 UNION SELECT name FROM marginals WHERE game = ?1
    UNION SELECT name FROM diverged WHERE game = ?1 UNION SELECT name FROM digests WHERE game = ?1"""
OF_NAME = """FROM (SELECT 1)
    LEFT JOIN evaluations AS e ON e.game = ?1 AND e.coalition = CAST(?2 AS TEXT)
    LEFT JOIN marginals AS m ON m.game = ?1 AND m.name = CAST(?2 AS TEXT)
    LEFT JOIN diverged AS d ON d.game = ?1 AND d.name = CAST(?2 AS TEXT)
    LEFT JOIN digests AS s ON s.game = ?1 AND s.name = CAST(?2 AS TEXT)"""
READ = "SELECT e.utility, e.seconds, e.fte, m.marginals, d.members, s.digest " + OF_NAME
MOVE = (
    "INSERT INTO damaged SELECT ?1, CAST(?2 AS TEXT), e.utility, e.seconds, e.fte, m.marginals, d.members, s.digest, ?3, ?4 "
    + OF_NAME,
    "DELETE FROM evaluations WHERE game = ?1 AND coalition = CAST(?2 AS TEXT)",
    "DELETE FROM marginals WHERE game = ?1 AND name = CAST(?2 AS TEXT)",
    "DELETE FROM diverged WHERE game = ?1 AND name = CAST(?2 AS TEXT)",
    "DELETE FROM digests WHERE game = ?1 AND name = CAST(?2 AS TEXT)",
)
INSERT = (
    "INSERT INTO evaluations VALUES (?, CAST(? AS TEXT), ?, ?, ?)",
    "INSERT INTO marginals VALUES (?, CAST(? AS TEXT), ?)",
    "INSERT INTO diverged VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT))",
    "INSERT INTO digests VALUES (?, CAST(? AS TEXT), ?)",
)
CHANGED, WITHOUT_DIGEST = "not as they were kept", "without a digest, as an older shed kept them"
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
WHAT_TO_DO = {
    sqlite3.SQLITE_FULL: "make room on its disk and run again, which goes on from there",
    sqlite3.SQLITE_BUSY: "wait for the program that writes to it, or end it, and run again",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable and run again",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder writable and run again",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or fails, and run again",
    **dict.fromkeys(DAMAGED, "run again: then it is moved aside, and a new one begun"),
}
Row = tuple[Any, Any, Any, Any, Any, Any]  # the fields of `_Kept`, whatever they hold, and a digest


class _Kept(NamedTuple):
    """An evaluation as it is kept.

    Attributes:
        utility: None (NULL) where it was not finite.
        seconds, fte: its cost.
        marginals: float64, little-endian, of each record; None where it is of no run with gradients.
        members: ids, a line each, where the utility or a marginal was not finite; else None.
    """

    utility: float | None
    seconds: float
    fte: float
    marginals: bytes | None
    members: bytes | None


def error_code(error: Exception) -> int | None:
    """SQLite's own code of an error, without the details that it adds in higher bits."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about a ledger's file into one line."""
    try:
        yield
    except (sqlite3.Error, UnicodeError, OSError, NotImplementedError) as error:  # the last two are of lock files
        what_to_do = WHAT_TO_DO.get(error_code(error) or 0, "see whether its folder can be written to, and run again")
        reason = " ".join(str(error).split())
        raise ShedError(f"cannot write the ledger {path}: {reason}; {what_to_do}") from error


def make_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables that are lacking.

    Raises:
        ShedError: one has other columns.
    """
    statements = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.text_factory = bytes
        fresh.executescript(SCHEMA)
        ours = dict(fresh.execute(statements).fetchall())
    theirs = dict(connection.execute(statements).fetchall())
    other = sorted(name.decode() for name in ours if theirs.get(name, ours[name]) != ours[name])
    if other:
        raise ShedError(
            f"the ledger {path} has other columns in its table {other[0]} than this version of shed; "
            "use the version that wrote it, or move the file away and run again"
        )
    connection.executescript(SCHEMA)


def salvage(damaged: Path, connection: sqlite3.Connection, path: Path) -> int:
    """Copy all evaluations that are as they were kept from a damaged file into the new one at `path`; how many."""
    address, count = f"{damaged.resolve().as_uri()}?mode=ro&immutable=1", 0  # nothing is written to it, nor beside it
    with told(path), connection, closing(sqlite3.connect(address, uri=True)) as old:
        old.text_factory = bytes
        for key, text in _readable(old, "SELECT game, description FROM games"):
            if isinstance(text, bytes) and game_key(text) == key.decode(errors="replace"):
                game = game_key(text)
                connection.execute("INSERT INTO games VALUES (?, CAST(? AS TEXT))", (game, text))
                fresh = KeptEvaluations(connection, path, game, 0)
                for name, row in KeptEvaluations(old, damaged, game, 0).sound():
                    fresh.insert(name, row)
                    count += 1
    return count


def game_key(description: bytes) -> str:
    """The key of the game that is described so."""
    return hashlib.sha256(description).hexdigest()[:16]


class KeptEvaluations:
    """The evaluations of one game.

    Args:
        records: of how many records each run has marginals, at least.

    Raises:
        ShedError: by all methods, where the file cannot be read or written.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, game: str, records: int) -> None:
        self._connection, self._path, self._game, self._records = connection, path, game, records

    def find(self, name: str) -> Evaluation | None:
        """The evaluation that was kept under a name; None if there is none that is as it was kept."""
        with told(self._path):
            found = self._read(name.encode())
        if found is None or self._wrong(name.encode(), found):
            return None
        utility, seconds, fte, marginals, *_ = found
        own = None if marginals is None else np.frombuffer(marginals, dtype="<f8").astype(np.float64)
        return Evaluation(math.nan if utility is None else utility, seconds, fte, own)

    def keep(self, names: Sequence[str], members: Sequence[Sequence[str]], evaluations: Sequence[Evaluation]) -> Counter[str]:
        """Commit evaluations to disk, all of them or none; what of the same names was damaged is set aside and counted.

        Args:
            members: of each coalition, which are kept where its tuning diverged.

        Raises:
            ShedError: one has no marginals, or too few, though it is of a run.
        """
        rows = [self._row(*one) for one in zip(names, members, evaluations, strict=True)]
        with told(self._path), self._connection:
            damaged = self._set_aside([name.encode() for name in names])
            for name, row in zip(names, rows, strict=True):
                self.insert(name.encode(), row)
        return damaged

    def sound(self) -> Iterator[tuple[bytes, Row]]:
        """The names and rows that are as they were kept, as far as a damaged file can be read."""
        names = "SELECT coalition FROM evaluations WHERE game = ?"
        for (name,) in _readable(self._connection, names, self._game):
            for row in _readable(self._connection, READ, self._game, name):
                if isinstance(name, bytes) and not self._wrong(name, row):
                    yield name, row

    def insert(self, name: bytes, row: Row) -> None:
        """Add a row in the transaction that is open."""
        utility, seconds, fte, marginals, members, digest = row
        for statement, values in zip(INSERT, ((utility, seconds, fte), (marginals,), (members,), (digest,)), strict=True):
            if values != (None,):
                self._connection.execute(statement, (self._game, name, *values))

    def set_aside_damaged(self) -> Counter[str]:
        """Move all that is not as it was kept into the table `damaged`; how many, by the reason."""
        with told(self._path), self._connection:
            names = [name for (name,) in self._connection.execute(NAMES, (self._game,)) if isinstance(name, bytes)]
            return self._set_aside(names)

    def _set_aside(self, names: Sequence[bytes]) -> Counter[str]:
        reasons: Counter[str] = Counter()
        for name in names:
            found = self._read(name)
            reason = found and self._wrong(name, found)
            if not reason:
                continue
            reasons[reason] += 1
            noticed = time.strftime("%Y-%m-%dT%H:%M:%S")
            copy, *remove = MOVE
            self._connection.execute(copy, (self._game, name, reason, noticed))
            for statement in remove:
                self._connection.execute(statement, (self._game, name))
        return reasons

    def _read(self, name: bytes) -> Row | None:
        """All that is kept under a name, whatever it is worth."""
        found: Row = self._connection.execute(READ, (self._game, name)).fetchone()
        return None if all(value is None for value in found) else found

    def _row(self, name: str, members: Sequence[str], own: Evaluation) -> Row:
        utility = float(own.utility) + 0.0 if math.isfinite(own.utility) else None  # SQLite has no -0.0
        marginals = None if own.marginals is None else own.marginals.astype("<f8").tobytes()
        diverged = None if own.finite else "\n".join(members).encode()
        kept = _Kept(utility, float(own.seconds) + 0.0, float(own.fte) + 0.0, marginals, diverged)
        if self._impossible(name.encode(), kept):
            raise ShedError(f"the evaluation {name} cannot be kept: its cost or its marginals are not of this game's form")
        return (*kept, _digest(self._game, name.encode(), kept))

    def _wrong(self, name: bytes, row: Row) -> str | None:
        """Why a row is not to be believed, or None."""
        *values, digest = row
        if digest is None:
            return WITHOUT_DIGEST
        kept = _Kept(*values)
        typed = isinstance(kept.utility, float | None) and isinstance(kept.seconds, float) and isinstance(kept.fte, float)
        if not (typed and isinstance(kept.marginals, bytes | None) and isinstance(kept.members, bytes | None)):
            return CHANGED
        if digest != _digest(self._game, name, kept) or self._impossible(name, kept):
            return CHANGED
        return None

    def _impossible(self, name: bytes, kept: _Kept) -> bool:
        """Whether no evaluation under this name has these values, whatever their digest."""
        of_run = b"-" in name  # see `LedgeredGame.name`
        if not (math.isfinite(kept.seconds) and math.isfinite(kept.fte)) or of_run != (kept.marginals is not None):
            return True
        finite = kept.utility is not None
        if kept.marginals is not None:
            if len(kept.marginals) % 8 or len(kept.marginals) < 8 * self._records:
                return True
            finite = finite and bool(np.isfinite(np.frombuffer(kept.marginals, dtype="<f8")).all())
        return finite != (kept.members is None) or (kept.utility is not None and not math.isfinite(kept.utility))


def _readable(connection: sqlite3.Connection, query: str, *values: Any) -> Iterator[Any]:
    """The rows up to the first that cannot be read."""
    with contextlib.suppress(sqlite3.DatabaseError, UnicodeError):
        yield from connection.execute(query, values)


def _digest(game: str, name: bytes, kept: _Kept) -> bytes:
    """(32,) bytes that change with any bit of what is kept; each part stands behind its length."""
    numbers = [None if number is None else number.hex().encode() for number in (kept.utility, kept.seconds, kept.fte)]
    total = hashlib.sha256()
    for part in (game.encode(), name, *numbers, kept.marginals, kept.members):
        total.update(b"none:" if part is None else b"%d:%b" % (len(part), part))
    return total.digest()
