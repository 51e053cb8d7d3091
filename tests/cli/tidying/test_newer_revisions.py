"""A model of the Hub stays at its commit; that there is a newer one is a note of `shed doctor`."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from shed.cli.tidying.revisions import find_newer_revisions

OWN, NEWER = "a" * 40, "b" * 40


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/model.json").write_text(json.dumps({"name": "some/model", "revision": OWN}), encoding="utf-8")
    (tmp_path / "data/embedder.json").write_text(json.dumps({"name": "packaged", "wheel": "c"}), encoding="utf-8")
    return tmp_path


def test_a_newer_commit_is_told_and_nothing_is_changed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, newest = [], [OWN]

    def model_info(name: str, *, timeout: float) -> SimpleNamespace:
        asked.append(name)
        return SimpleNamespace(sha=newest[-1])

    monkeypatch.setattr("huggingface_hub.model_info", model_info)
    assert list(find_newer_revisions(project)) == []
    newest.append(NEWER)
    (found,) = find_newer_revisions(project)
    assert found.what == f"the Hub has a newer commit of the model some/model: {NEWER}; this project stays at {OWN}"
    assert not found.wrong
    assert set(asked) == {"some/model"}, "what is packaged has no commit"
    assert json.loads((project / "data/model.json").read_text(encoding="utf-8"))["revision"] == OWN


def test_without_the_hub_there_is_nothing_to_say(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, *, timeout: float) -> None:
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr("huggingface_hub.model_info", offline)
    assert list(find_newer_revisions(project)) == []
    (project / "data/model.json").unlink()
    assert list(find_newer_revisions(project)) == []
