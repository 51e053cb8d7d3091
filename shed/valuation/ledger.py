"""The ledger: the durable record of every evaluation, so that none is ever paid for twice.

In: a game's key (a digest of all that its utilities depend on) and coalitions. Out: their evaluations, from the record where
they are there, else measured, a few together, and committed to disk before the next ones begin.

The crash contract: a process may be killed at any moment; what was committed stays, and at most the evaluations in flight are
lost. One process plays a game at a time: a second one waits for the first, and then finds its evaluations done.
"""

import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout

from shed.common.errors import ShedError
from shed.valuation.game import Evaluation, Run

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
"""


class NamedGame(Protocol):
    """A game whose coalitions have names that outlast a process: the ids of their members."""

    players: int
    owner: np.ndarray

    @property
    def setup_fte(self) -> float: ...

    def members(self, weights: np.ndarray) -> list[str]: ...

    def price(self, weights: np.ndarray, run: Run | None = None) -> float: ...

    def at_once(self, run: Run | None = None) -> int: ...

    def evaluate(self, weights: np.ndarray, run: Run | None = None) -> list[Evaluation]: ...


class Ledger:
    """An SQLite file of evaluations, shared by runs, checkouts and estimators.

    A file that SQLite finds damaged is moved aside, under a name with the time, and a new one begun; that is said on stderr.

    Raises:
        ShedError: the folder or the file cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                self._move_aside_if_damaged()
                with self._connection() as connection:
                    connection.executescript(SCHEMA)
        except (OSError, sqlite3.OperationalError) as error:
            raise ShedError(f"cannot write the ledger {self.path}: {error}") from error

    @contextmanager
    def play(self, game: NamedGame, description: dict[str, Any], candidates: str = "") -> Iterator["LedgeredGame"]:
        """The game with the ledger before it, held by this process alone until the block ends.

        Args:
            description: all that the utilities depend on (data, model, regime, code, versions), as JSON values; another
                description is another game, and none of its evaluations are used.
            candidates: a digest of the records that have marginals though they play no part, which utilities do not depend on.
        """
        text = json.dumps(description, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        with _exclusive(self.path.with_name(f"{self.path.stem}-{key}.lock")), self._connection() as connection:
            with connection:
                connection.execute("INSERT OR IGNORE INTO games VALUES (?, ?)", (key, text))
            yield LedgeredGame(game, connection, key, candidates)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=60)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            connection.close()

    def _move_aside_if_damaged(self) -> None:
        if not self.path.exists():
            return
        try:
            with self._connection() as connection:
                verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.OperationalError:  # a lock, a full disk: nothing is wrong with the file
            raise
        except sqlite3.DatabaseError as error:
            verdict = str(error)
        if verdict == "ok":
            return
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        self.path.rename(aside)
        for leftover in (f"{self.path}-wal", f"{self.path}-shm"):
            Path(leftover).unlink(missing_ok=True)
        print(f"shed: the ledger {self.path} is damaged ({verdict}); moved to {aside}, and a new one begun", file=sys.stderr)


class LedgeredGame:
    """A game that asks the ledger first; it counts what its estimator used.

    Attributes:
        players, owner, setup_fte: as the game's.
        new: how many evaluations were measured now and not found.
    """

    def __init__(self, game: NamedGame, connection: sqlite3.Connection, key: str, candidates: str) -> None:
        self.players, self.owner, self.setup_fte = game.players, game.owner, game.setup_fte
        self.new = 0
        self.key = key
        self._game = game
        self._connection = connection
        self._candidates = candidates

    def value(self, coalitions: np.ndarray) -> np.ndarray:
        """(m, players) bool to (m,) float64; NaN where the tuning diverged."""
        return np.array([evaluation.utility for evaluation in self.find_or_evaluate(coalitions)], dtype=np.float64)

    def name(self, weights: np.ndarray, run: Run | None = None) -> str:
        """The name under which an evaluation is kept."""
        digest = hashlib.sha256("\n".join(self._game.members(weights)).encode()).hexdigest()[:32]
        if run is None:
            return digest
        return f"{digest}-{run.how}-{self._candidates}" + (f"-draw-{run.draw}" if run.draw else "")

    def price(self, weights: np.ndarray, run: Run | None = None) -> float:
        """The cost in FTE of evaluating weights (players,), with each record's marginal if `run` is given."""
        return self._game.price(weights, run)

    def find_or_evaluate(self, weights: np.ndarray, run: Run | None = None) -> Iterator[Evaluation]:
        """The evaluations of weights (m, players), in order, with marginals if `run` is given; measured as they are asked for.

        Each is from the ledger, or measured and kept, as many at a time as the game evaluates together.
        """
        names = [self.name(one, run) for one in weights]
        missing = {name: one for name, one in zip(names, weights, strict=True) if self._find(name) is None}
        for name in names:
            if name in missing:
                few = list(missing)[: self._game.at_once(run)]
                asked = np.stack([missing.pop(one) for one in few])
                self._keep(few, asked, self._game.evaluate(asked, run))
            found = self._find(name)
            assert found is not None
            yield found

    def _find(self, name: str) -> Evaluation | None:
        query = "SELECT utility, seconds, fte FROM evaluations WHERE game = ? AND coalition = ?"
        row = self._connection.execute(query, (self.key, name)).fetchone()
        if row is None:
            return None
        return Evaluation(float("nan") if row[0] is None else row[0], row[1], row[2], self._marginals(name))

    def _keep(self, names: list[str], asked: np.ndarray, evaluations: list[Evaluation]) -> None:
        rows = [(self.key, name, own.utility, own.seconds, own.fte) for name, own in zip(names, evaluations, strict=True)]
        blobs = [
            (self.key, name, own.marginals.astype("<f8").tobytes())
            for name, own in zip(names, evaluations, strict=True)
            if own.marginals is not None
        ]
        diverged = [
            (self.key, name, "\n".join(self._game.members(weights)))
            for name, weights, own in zip(names, asked, evaluations, strict=True)
            if not own.finite
        ]
        with self._connection:
            self._connection.executemany("INSERT INTO diverged VALUES (?, ?, ?)", diverged)
            self._connection.executemany("INSERT INTO evaluations VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.executemany("INSERT INTO marginals VALUES (?, ?, ?)", blobs)
        self.new += len(rows)

    def _marginals(self, name: str) -> np.ndarray | None:
        query = "SELECT marginals FROM marginals WHERE game = ? AND name = ?"
        row = self._connection.execute(query, (self.key, name)).fetchone()
        return None if row is None else np.frombuffer(row[0], dtype="<f8").astype(np.float64)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that the system frees when its process dies; say so when another process has it, and wait."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("shed: another process is evaluating the same game; waiting for its evaluations", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
