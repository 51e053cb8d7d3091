"""The command line: from words to a command of `shed.cli`, and from its end to an exit status.

In: the words after `shed`. Out: what the command prints, and a status: 0, or 1 where it failed, 2 where it was called wrongly,
130 after Ctrl-C, 141 where the reader of a pipe has left. A command's module is imported when it is called, so that help is
there at once.
"""

import gc
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from cyclopts import App

from shed.common.errors import ShedError

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for some takes a tenth of a command's time
COMMANDS = {  # in the order of help: the function, and what it is for
    "init": ("shed.cli.making.init:init", "Make a project of your own: the pipeline, your data, params that suit them."),
    "check": ("shed.cli.making.check:check", "Data, model and params, before anything costs time."),
    "plan": ("shed.cli.running.plan:plan", "What would run now, or with changes, why, and about what it costs."),
    "run": ("shed.cli.running.run:run", "Run the pipeline, or what has changed of it, with one live picture."),
    "show": ("shed.cli.results.show:show", "The result: the verdict, what was selected, and the best clusters with examples."),
    "why": ("shed.cli.results.why:why", "What became of a record, why, and what would have changed it."),
    "report": ("shed.cli.results.report:report", "Where the report is; --open opens it."),
    "export": ("shed.cli.results.export:export", "Write the selected rows in another form."),
    "compare": ("shed.cli.sharing.compare:compare", "What differs between two revisions or experiments, the verdict first."),
    "comment": ("shed.cli.sharing.comment:comment", "The text of a pull request's comment: what it does to the selection."),
    "doctor": ("shed.cli.tidying.doctor:doctor", "Whether all is in order here: Python, DVC, git, what stopped runs left."),
    "cache": ("shed.cli.tidying.cache:cache", "What lies in the caches, and what of it this project no longer uses."),
    "upgrade": ("shed.cli.making.upgrade:upgrade", "Bring a project's pipeline up to the installed version."),
}
HIDDEN = {"stage": "shed.cli.making.stage:stage"}  # for dvc.yaml
HELP = "Select the part of your instruction data to tune a language model on, and measure whether it beats random rows."
EPILOGUE = (
    "Each command has --help; with --debug an error shows its traceback. `dvc repro` runs the pipeline without shed, too."
)
DEBUG = "--debug"
PIPE_CLOSED = 141  # as a shell has it of a program that ended so


def main(words: Sequence[str] | None = None) -> NoReturn:
    """The console script."""
    words = list(sys.argv[1:] if words is None else words)
    debug = DEBUG in words
    if words[:1] == ["why"]:
        gc.disable()  # it ends before there is anything to collect, and looking takes a tenth of its time
    try:
        command_line(words)([word for word in words if word != DEBUG])
    except ShedError as error:
        if debug:
            raise
        sys.exit(f"shed: error: {error}")
    except BrokenPipeError:  # who reads has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_CLOSED)
    except Exception as error:
        if debug:
            raise
        sys.exit(f"shed: error: {type(error).__name__}: {error} (this should not happen; {DEBUG} shows where)")
    finally:
        gc.enable()
    sys.exit(0)


def command_line(words: Sequence[str] = ()) -> App:
    """All commands, of which none is imported yet.

    Args:
        words: of the call; the command that they name is helped by its own docstring, which says more than its line here.
    """
    app = App(name="shed", help=HELP, help_epilogue=EPILOGUE, version=_version)
    app.register_install_completion_command()
    for place, (name, (function, about)) in enumerate(COMMANDS.items()):
        app.command(function, name=name, help=None if name in words[:1] else about, sort_key=place)
    for name, function in HIDDEN.items():
        app.command(function, name=name, show=False)
    return app


def _version() -> str:
    """Of the installed package; a checkout that is not installed has none."""
    try:
        return version("shed-tuning")
    except PackageNotFoundError:
        return "not installed"
