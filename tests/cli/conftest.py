"""Pytest puts this folder on the path for it, so that the folders below find `project_calls`."""

from pathlib import Path

import pytest


@pytest.fixture
def git_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A git that knows a user, and is in no repository of ours; tests begin in their own folder."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A User")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "user@example.org")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
