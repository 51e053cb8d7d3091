"""Another version of the package: what of a project's pipeline it changes, and what that reruns."""

import json
from pathlib import Path

import pytest
from project_calls import call

from shed.params import load_params


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo as an earlier version made it: `rate` had other code, a param was missing, another is no more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert call("init", "mine", "--demo") == 0
    root = tmp_path / "mine"
    code = json.loads((root / "pipeline.json").read_text(encoding="utf-8"))
    code["stages"]["rate"], code["shed"] = "0" * 16, "0.0.1"
    (root / "pipeline.json").write_text(json.dumps(code), encoding="utf-8")
    params = (root / "params.yaml").read_text(encoding="utf-8")
    params = params.replace("  per: record\n", "").replace("C: 32\n", "C: 7\nspeed: 3\n")
    (root / "params.yaml").write_text(params, encoding="utf-8")
    monkeypatch.chdir(root)
    return root


def test_an_upgrade_tells_what_changed_and_keeps_the_users_values(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert call("upgrade", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["from"] == "0.0.1"
    assert told["stages"] == ["rate"]
    assert told["params_added"] == ["rate.per"]
    assert told["params_gone"] == ["speed"]
    params = load_params(project / "params.yaml")
    assert (params.C, params.rate.per) == (7, "record")
    assert json.loads((project / "pipeline.json").read_text(encoding="utf-8"))["stages"]["rate"] != "0" * 16


def test_an_upgrade_keeps_values_that_are_groups_of_the_users_own_keys(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "params.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in {
        "  dev: data/dev.yaml\n": "  dev:\n    maths: {from: 'lm_eval:gsm8k', weight: 2}\n    chat: {from: chat.jsonl, weight: 1}\n",
        "columns: null": "columns: {prompt: frage, response: antwort}",
        "tracking:\n  report_to: []\n  project: shed\n": "",  # as before there were trackers
    }.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert call("upgrade", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["params_added"], told["params_gone"]) == (["rate.per", "tracking.report_to", "tracking.project"], ["speed"])
    params = load_params(path)
    assert params.data.reading.columns == {"prompt": "frage", "response": "antwort"}
    assert isinstance(params.data.dev, dict)
    assert {name: (task.path, task.weight) for name, task in params.data.dev.items()} == {
        "maths": ("lm_eval:gsm8k", 2),
        "chat": ("chat.jsonl", 1),
    }
    assert params.tracking.report_to == []


def test_a_second_upgrade_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("upgrade") == 0
    before = {path.name: path.read_bytes() for path in project.glob("*.*") if path.is_file()}
    capsys.readouterr()
    assert call("upgrade") == 0
    assert "has changed: none" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in project.glob("*.*") if path.is_file()} == before


def test_a_checkout_of_shed_itself_is_not_upgraded(
    project_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project_root)
    assert call("upgrade") == 1
    assert "nothing to upgrade" in capsys.readouterr().out
