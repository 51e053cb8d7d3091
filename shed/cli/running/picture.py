"""The one live picture of a run: which stages are done, running and left, how far the running one is, and for how long.

In: what DVC prints to a terminal of its own (`shed.cli.running.process`). Out: lines to keep, and a picture of the rest.
"""

import re
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shed.cli.running.process import BAR_FIELDS, FIELD, MARK

PIECE = re.compile(f"{MARK}(?P<bar>[^{MARK}\n]*){MARK}|\n")
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
STARTED = re.compile(r"Running stage '(?:[^':]*:)?([^':]+)':")
PASSED = re.compile(r"Stage '(?:[^':]*:)?([^':]+)' (?:didn't change, skipping|is cached - skipping run.*)")
SILENT = re.compile(
    r"> .*|(Updating|Generating) lock file .*|Use `dvc push` to send .*|Waiting to acquire lock.*|Reproducing experiment .*"
    r"|To track the changes with git, run:|\s*git add .*|To enable auto staging, run:|\s*dvc config core\.autostage true"
    r"|WARNING: Process '.*' with \(Pid \d+\), in RWLock-file '.*' had been killed\. Auto removed it from the lock file\."
)
WRONG = re.compile(r"shed: (error|warning): .*")  # what is told even of a stage that was asked to end
BAR_WIDTH = 24


class Bar(NamedTuple):
    """A bar of a stage.

    Attributes:
        total: None where it is not known.
        left: seconds; 0 where they are not known.
    """

    what: str
    done: float
    total: float | None
    left: float


class Picture:
    """What is known of a run.

    Args:
        stages: the stages that DVC will look at, in their order, as far as known.

    Attributes:
        done: seconds of each stage that was run to its end.
        unchanged: stages that DVC has passed over.
        running: the stage that runs, if one does.
        stopping: whether the run was asked to end. Then it is no news that stages and DVC say so.
    """

    def __init__(self, stages: Iterable[str]) -> None:
        self.done: dict[str, float] = {}
        self.unchanged: list[str] = []
        self.running: str | None = None
        self.stopping = False
        self._stages = list(stages)
        self._began = self._stage_began = time.monotonic()
        self._bars: dict[str, Bar] = {}
        self._line = self._rest = ""  # the line that has begun, and of it what may be a part of a bar

    @property
    def bars(self) -> list[Bar]:
        """Those of the running stage, an outer one before those in it."""
        return list(self._bars.values())

    def lines(self, text: str) -> Iterator[str]:
        """Take in what was printed, in pieces of any size, and give the whole lines in it that are to be kept."""
        self._rest += text
        while found := PIECE.search(self._rest):
            self._line += self._rest[: found.start()]
            self._rest = self._rest[found.end() :]
            if found["bar"] is not None:
                self._see_bar(found["bar"])
                self._line += "\r"
                continue
            line, self._line = _plain(self._line), ""
            if self._see_line(line):
                yield line

    def end(self, ok: bool) -> str:
        """DVC has ended: what was done, in a line."""
        last, after = self.running, time.monotonic() - self._stage_began
        if ok:
            self._stage_ends()
        parts = [f"{name} {clock(own)}" for name, own in self.done.items()]
        if last and not ok:
            parts.append(f"{last} {'was stopped' if self.stopping else 'has failed'} after {clock(after)}")
        return f"shed: {', '.join(parts) or 'no stage was run'}; {clock(time.monotonic() - self._began)} in all"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        if self.done:
            table.add_row("done", Text(", ".join(f"{name} {clock(own)}" for name, own in self.done.items())))
        if self.unchanged:
            table.add_row("unchanged", Text(", ".join(self.unchanged)))
        if self.running:
            table.add_row("running", Text(f"{self.running} {clock(time.monotonic() - self._stage_began)}", style="bold"))
            for bar in self.bars:
                table.add_row("", _drawn(bar))
        seen = {*self.done, *self.unchanged, self.running}
        left = [name for name in self._stages if name not in seen]
        if left:
            table.add_row("left", Text(", ".join(left)))
        every = len(seen - {None}) + len(left)
        past = len(self.done) + len(self.unchanged)
        table.add_row("", Text(f"{past} of {every} stages, {clock(time.monotonic() - self._began)} so far"))
        yield table

    def _see_line(self, line: str) -> bool:
        """Whether the line is to be kept."""
        if found := STARTED.fullmatch(line):
            self._stage_ends()
            self.running, self._stage_began = found[1], time.monotonic()
            return False
        if found := PASSED.fullmatch(line):
            self._stage_ends()
            self.unchanged.append(found[1])
            return False
        if self.stopping:
            return bool(WRONG.fullmatch(line))
        return bool(line.strip()) and not SILENT.fullmatch(line)

    def _see_bar(self, text: str) -> None:
        """Bars stand in each other: once an outer one moves, those in it have ended."""
        parts = text.split(FIELD)
        if len(parts) != len(BAR_FIELDS):
            return
        what, done, total, left = parts
        bar = Bar(what.removesuffix(": "), _number(done) or 0.0, _number(total), _number(left) or 0.0)
        names, before = list(self._bars), self._bars.get(bar.what)
        ended = bar.total is not None and bar.done >= bar.total
        if before is not None and (bar.done != before.done or ended):
            self._bars = {name: self._bars[name] for name in names[: names.index(bar.what)]}
        if not ended:
            self._bars[bar.what] = bar

    def _stage_ends(self) -> None:
        if self.running:
            self.done[self.running] = time.monotonic() - self._stage_began
        self.running = None
        self._bars.clear()


def clock(seconds: float) -> str:
    """12 s, 2:05, 1:02:05."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}" if minutes else f"{whole} s"


def _drawn(bar: Bar) -> Table:
    row = Table.grid(padding=(0, 1))
    if bar.total:
        left = f", {clock(bar.left)} left" if bar.left else ""
        told = f"{bar.what} {bar.done:g} of {bar.total:g}{left}"
        row.add_row(ProgressBar(bar.total, bar.done, width=BAR_WIDTH), Text(told))
    else:
        row.add_row(Text(f"{bar.what} {bar.done:g}"))
    return row


def _plain(line: str) -> str:
    """What a terminal would show of a line, without colours and control characters."""
    parts = [part for part in ESCAPES.sub("", line).split("\r") if part.strip()]
    return CONTROL.sub("", parts[-1]).rstrip() if parts else ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
