"""The command line: from words to a command of `shed.cli`, and from its end to an exit status.

In: the words after `shed`. Out: what the command prints, and a status: 0, or 1 where it failed, 2 where it was called wrongly,
130 after Ctrl-C. A command's module is imported when it is called, so that help is there at once.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from cyclopts import App

from shed.common.errors import ShedError

COMMANDS = {  # in the order of help: the function, and what it is for
    "show": ("shed.cli.show:show", "The result: the verdict, what was selected, and every cluster with examples."),
}
HELP = "Select the part of your instruction data to tune a language model on, and measure whether it beats random rows."
EPILOGUE = "Each command has --help. With --debug, an error shows its traceback. Without shed, `dvc repro` runs the pipeline, too."
DEBUG = "--debug"


def main(words: Sequence[str] | None = None) -> NoReturn:
    """The console script."""
    words = list(sys.argv[1:] if words is None else words)
    debug = DEBUG in words
    try:
        command_line()([word for word in words if word != DEBUG])
    except ShedError as error:
        if debug:
            raise
        sys.exit(f"shed: error: {error}")
    except Exception as error:
        if debug:
            raise
        sys.exit(f"shed: error: {type(error).__name__}: {error} (this should not happen; {DEBUG} shows where)")
    sys.exit(0)


def command_line() -> App:
    """All commands, of which none is imported yet."""
    app = App(name="shed", help=HELP, help_epilogue=EPILOGUE, version=_version)
    app.register_install_completion_command()
    for name, (function, about) in COMMANDS.items():
        app.command(function, name=name, help=about)
    return app


def _version() -> str:
    """Of the installed package; a checkout that is not installed has none."""
    try:
        return version("shed-tuning")
    except PackageNotFoundError:
        return "not installed"
