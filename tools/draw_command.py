"""Draw what the command prints, as pictures for its page. Usage: python -m tools.draw_command

In: this project's finished run. Out: `docs/pictures/shed-NAME.svg` for each command below, without a font from a network.
"""

import re
import shlex
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from shed.cli import terminal
from shed.cli.app import command_line
from shed.common.import_closure import ROOT

FOLDER = ROOT / "docs/pictures"
WIDTH = 110  # characters
COMMANDS = {
    "help": "--help",
    "show": "show --clusters 5",
    "why": "why 'carving jack'",
    "check": "check",
    "plan": "plan -S sampler=qwcs",
    "doctor": "doctor",
} | {  # of those whose output is of one machine or one moment, what they take
    name: f"{name} --help" for name in ("init", "run", "compare", "comment", "report", "export", "cache", "upgrade")
}
FONTS = re.compile(r"@font-face \{\{.*?\}\}\n", re.DOTALL)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, words in COMMANDS.items():
        write(FOLDER / f"shed-{name}.svg", words)
        print(f"docs/pictures/shed-{name}.svg: written")


def write(path: Path, words: str) -> None:
    """The picture of one call."""
    console = Console(record=True, width=WIDTH, markup=False, highlight=False, emoji=False, force_terminal=True, quiet=False)
    terminal.console = lambda: console
    try:
        command_line()(shlex.split(words), console=console, result_action="return_value")
    except SystemExit as ended:  # a check that finds an error, as a picture may show
        console.print(f"exit status {ended.code}")
    text = console.export_svg(title=f"$ shed {words}", code_format=FONTS.sub("", CONSOLE_SVG_FORMAT), unique_id="shed")
    path.write_text(text.replace(str(ROOT), "/my-project"), encoding="utf-8")


if __name__ == "__main__":
    main()
