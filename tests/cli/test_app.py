"""The command line as a whole: help that is there at once, and ends that a shell and a reader understand."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_type_hints

import pytest
from cyclopts.completion._base import CompletionAction, get_completion_action
from project_calls import call

from shed.cli.app import COMMANDS, command_line, main
from shed.cli.making.init import init
from shed.cli.results.tables import print_text
from shed.cli.results.why import why
from shed.cli.terminal import console, counted

HEAVY = ("torch", "pandas", "transformers", "dvc", "lm_eval", "sentence_transformers")


def test_help_names_all_commands_and_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom shed.cli.app import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        f"print('imported:', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *said, imported = done.stdout.splitlines()
    assert imported == "imported:"
    assert all(any(name in line for line in said) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_and_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(name, "--help") == 0
    said = capsys.readouterr().out
    assert "--json" in said
    assert "Usage: shed" in said
    module, _, function = COMMANDS[name][0].partition(":")
    first, *_ = str(getattr(importlib.import_module(module), function).__doc__).splitlines()
    assert " ".join(first.split())[:40] in " ".join(said.split())


def test_a_wrong_call_is_two_and_says_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("shwo") == 2
    assert 'Did you mean "show"?' in "".join(capsys.readouterr())


def test_outside_a_project_an_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("show") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("shed: error: ")
    assert "shed init" in line


@pytest.mark.parametrize(
    "words",
    [
        "check", "plan", "run", "show", "why some", "report", "export alpaca", "compare HEAD", "comment", "doctor", "upgrade",
        "init mine",
    ],
)  # fmt: skip
def test_with_json_an_error_leaves_standard_output_empty(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that reads JSON gets JSON or nothing; the error is on standard error, where the interpreter puts it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), "--json"])
    assert str(ended.value.code).startswith("shed: error: ")
    assert capsys.readouterr().out == ""


def test_no_option_has_an_empty_default(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert call(name, "--help") == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if "default: ()" in line or "default: []" in line]


@pytest.mark.parametrize(("function", "names"), [(init, ("pool", "dev", "test", "model", "folder")), (why, ("what",))])
def test_a_shell_completes_files_where_a_file_may_stand(function: Callable[..., None], names: Sequence[str]) -> None:
    hints = get_type_hints(function, include_extras=True)
    assert [get_completion_action(hints[name]) for name in names] == [CompletionAction.FILES] * len(names)


def test_what_reads_a_pipe_gets_each_text_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_text(console(), "some words " * 100, "label", 12)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_one_is_not_some() -> None:
    assert [counted(n, "row") for n in (0, 1, 2_000)] == ["0 rows", "1 row", "2,000 rows"]
    assert [counted(n, "more copy", "more copies") for n in (1, 2)] == ["1 more copy", "2 more copies"]


def test_a_fault_of_ours_is_one_line_too_and_a_traceback_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("half of nothing")

    app = command_line()
    app.command(broken, name="broken")
    monkeypatch.setattr("shed.cli.app.command_line", lambda words: app)
    assert call("broken") == 1
    assert capsys.readouterr().out.splitlines() == [
        "shed: error: ZeroDivisionError: half of nothing (this should not happen; --debug shows where)"
    ]
    with pytest.raises(ZeroDivisionError):
        main(["broken", "--debug"])


def test_who_reads_may_stop_reading() -> None:
    program = "import shed.cli.app as app\napp.command_line = lambda own: lambda words: print('x' * 1_000_000, flush=True)\napp.main([])"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
