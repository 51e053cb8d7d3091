"""A ledger that a test may damage."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sine_game import SineGame, played

MEMORY = Path("/dev/shm")  # a file system without a disk beneath, on which hundreds of ledgers take seconds


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def ledger(folder: Path) -> Path:
    """A ledger of these evaluations."""
    path = folder / "kept" / "ledger.sqlite"
    list(played(path, SineGame()))
    return path
