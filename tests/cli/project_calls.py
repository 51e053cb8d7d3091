"""Calling the command in a test, and small files of records."""

import json
import subprocess
from pathlib import Path

import pytest

from shed.cli.app import main


def call(*words: str) -> int:
    """The exit status of `shed WORDS`."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    code = ended.value.code
    if isinstance(code, str):
        print(code)
        return 1
    return int(code or 0)


def write_rows(path: Path, count: int, start: int = 0) -> Path:
    """A file of Alpaca rows."""
    rows = [{"instruction": f"What comes after {n}?", "output": f"{n + 1} comes."} for n in range(start, start + count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def git(folder: Path, *words: str) -> str:
    """What git prints there."""
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout
