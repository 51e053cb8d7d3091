"""The ledger: the durable record of every evaluation, so that none is ever paid for twice.

In: a game's key (a digest of all that its utilities depend on) and coalitions. Out: their evaluations, from the record where
they are there, else measured, a few together, and committed to disk before the next ones begin.

The crash contract: a process may be killed at any moment; what was committed stays, and at most the evaluations in flight are
lost. One process plays a game at a time: a second one waits for the first, and then finds its evaluations done.
"""

import hashlib
import json
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, runtime_checkable

import numpy as np
from filelock import FileLock, Timeout

from shed.common.errors import ShedError
from shed.common.sealed import set_aside
from shed.valuation.game import Evaluation, Run
from shed.valuation.keeping.evaluations import DAMAGED, KeptEvaluations, error_code, game_key, make_tables, salvage, told

WAIT = 60  # seconds for another program that writes to the file


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


@runtime_checkable
class GivenOut(Protocol):
    """A game that gives groups of coalitions out to workers."""

    def evaluate_each(self, groups: Sequence[np.ndarray], run: Run | None = None) -> Iterator[tuple[int, list[Evaluation]]]:
        """The places of the groups and their evaluations, in the order in which they are done."""
        ...


class Ledger:
    """An SQLite file of evaluations, shared by runs, checkouts and estimators.

    A file that SQLite finds damaged is moved aside, under a name with the time, and a new one begun with those evaluations of
    it that are as they were kept; that is said on stderr.

    Raises:
        ShedError: the folder or the file cannot be written, or its tables have other columns.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                damage, aside = self._move_aside_if_damaged()
                with self._connection() as connection:
                    make_tables(connection, self.path)
                    if aside:
                        count = salvage(aside, connection, self.path)
                        said = f"moved to {aside}, and a new one begun with the {count} evaluations that are as they were kept"
                        print(f"shed: the ledger {self.path} is damaged ({damage}); {said}", file=sys.stderr)

    @contextmanager
    def play(self, game: NamedGame, description: dict[str, Any], candidates: str = "") -> Iterator["LedgeredGame"]:
        """The game with the ledger before it, held by this process alone until the block ends.

        Args:
            description: all that the utilities depend on (data, model, regime, code, versions), as JSON values; another
                description is another game, and none of its evaluations are used.
            candidates: a digest of the records that have marginals though they play no part, which utilities do not depend on.
        """
        text = json.dumps(description, sort_keys=True)
        key = game_key(text.encode())
        with ExitStack() as stack:
            with told(self.path):
                stack.enter_context(_exclusive(self.path.with_name(f"{self.path.stem}-{key}.lock")))
                connection = stack.enter_context(self._connection())
                if connection.execute("SELECT 1 FROM games WHERE game = ? AND description = ?", (key, text)).fetchone() is None:
                    with connection:
                        connection.execute("INSERT OR REPLACE INTO games VALUES (?, ?)", (key, text))
            kept = KeptEvaluations(connection, self.path, key, len(game.owner))
            _say_damaged(self.path, kept.set_aside_damaged())
            yield LedgeredGame(game, kept, self.path, key, candidates)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=WAIT)
        try:
            connection.text_factory = bytes  # what is damaged may be no text
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            connection.close()

    def _move_aside_if_damaged(self) -> tuple[str | None, Path | None]:
        """What is wrong with the file, and where it is now, with its write-ahead log as it was before SQLite looked at it."""
        if not self.path.exists():
            return None, None
        beside = [Path(f"{self.path}{part}") for part in ("-wal", "-shm")]
        with TemporaryDirectory(prefix=f".{self.path.name}.", dir=self.path.parent) as folder:
            for part in beside:
                with suppress(FileNotFoundError):
                    shutil.copy2(part, folder)
            damage = self._damage()
            if damage is None:
                return None, None
            aside = set_aside(self.path, *(Path(folder) / part.name for part in beside))
        for part in beside:
            part.unlink(missing_ok=True)
        return damage, aside

    def _damage(self) -> str | None:
        """What SQLite finds wrong with the file."""
        try:
            with self._connection() as connection:
                (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except (sqlite3.Error, UnicodeError) as error:
            if not (isinstance(error, UnicodeError) or error_code(error) in DAMAGED):  # a lock, a full disk: the file is well
                raise
            return " ".join(str(error).split())  # SQLite shows a statement that it cannot read, with its line ends
        return None if found == b"ok" else " ".join(found.decode(errors="replace").split())


class LedgeredGame:
    """A game that asks the ledger first; it counts what its estimator used.

    Attributes:
        players, owner, setup_fte: as the game's.
        new: how many evaluations were measured now and not found.
    """

    def __init__(self, game: NamedGame, kept: KeptEvaluations, path: Path, key: str, candidates: str) -> None:
        self.players, self.owner, self.setup_fte = game.players, game.owner, game.setup_fte
        self.new = 0
        self.key = key
        self._game = game
        self._kept, self._path = kept, path
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

        Each is from the ledger, or measured and kept, as many at a time as the game evaluates together. A game that gives out
        its coalitions is told all of them now, and what it has measured is kept as soon as it is there.
        """
        names = [self.name(one, run) for one in weights]
        missing = {name: one for name, one in zip(names, weights, strict=True) if self._find(name) is None}
        together, lacking = self._game.at_once(run) if missing else 1, list(missing)
        groups = [lacking[at : at + together] for at in range(0, len(lacking), together)]
        asked = [np.stack([missing[name] for name in few]) for few in groups]
        if isinstance(self._game, GivenOut):
            arriving = self._game.evaluate_each(asked, run)
        else:
            arriving = enumerate(self._game.evaluate(one, run) for one in asked)
        return self._in_order(names, groups, asked, arriving)

    def _in_order(
        self,
        names: Sequence[str],
        groups: Sequence[list[str]],
        asked: Sequence[np.ndarray],
        arriving: Iterator[tuple[int, list[Evaluation]]],
    ) -> Iterator[Evaluation]:
        """The evaluations of these names, while groups of them arrive in any order and are kept."""
        missing = {name for few in groups for name in few}
        for name in names:
            while name in missing:
                at, evaluations = next(arriving)
                self._keep(groups[at], asked[at], evaluations)
                missing.difference_update(groups[at])
            found = self._find(name)
            if found is None:
                raise ShedError(
                    f"the ledger {self._path} does not give back what it keeps; see whether its disk fails, and run again"
                )
            yield found

    def _find(self, name: str) -> Evaluation | None:
        return self._kept.find(name)

    def _keep(self, names: list[str], asked: np.ndarray, evaluations: list[Evaluation]) -> None:
        _say_damaged(self._path, self._kept.keep(names, [self._game.members(one) for one in asked], evaluations))
        self.new += len(names)


def _say_damaged(path: Path, reasons: Counter[str]) -> None:
    if reasons:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        print(
            f"shed: of the evaluations in the ledger {path} some are not used ({why}); "
            "its table `damaged` has them now, and those that are asked for are measured again",
            file=sys.stderr,
        )


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
