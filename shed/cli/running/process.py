"""DVC as a process of its own: started, read, and ended by one SIGINT.

In: DVC's arguments. Out: what it and its stages print, while they run, and its exit status.

On a terminal DVC gets a terminal of its own (a pty), so that stages show their bars; how these are written is set by tqdm's
environment variables, and `shed.cli.running.picture` reads them. Elsewhere DVC prints to where this process prints.
"""

import codecs
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

MARK, FIELD = "\x1e", "\x1f"
BAR_FIELDS = ("desc", "n_fmt", "total_fmt", "remaining_s")
BAR = MARK + FIELD.join(f"{{{name}}}" for name in BAR_FIELDS) + MARK
SIZE = (50, 500)  # lines and characters of DVC's own terminal, which nobody sees; tqdm shows nothing where there is no room
WAIT = 0.2  # seconds until it is asked again whether DVC has ended
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Dvc:
    """A running `dvc`, with all its stages in a process group of their own.

    Attributes:
        interrupted: whether this process was asked to end; DVC was then told so once, and a second time to end at once.
    """

    def __init__(self, arguments: Sequence[str], root: Path, own_terminal: bool, stdout: TextIO | None = None) -> None:
        """Start it in the project's folder.

        Args:
            own_terminal: print to a pty that `text` reads.
            stdout: where DVC's standard output goes, if it has no terminal of its own; None: to this process's.
        """
        self.interrupted = False
        self._terminal: int | None = None
        command, environment = [sys.executable, "-m", "dvc", *arguments], _environment(own_terminal)
        if own_terminal:
            import pty
            import termios

            self._terminal, its = pty.openpty()
            termios.tcsetwinsize(its, SIZE)
            self._process = subprocess.Popen(
                command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=its, stderr=its, start_new_session=True
            )
            os.close(its)
        else:
            sys.stdout.flush()
            self._process = subprocess.Popen(
                command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=stdout, start_new_session=True
            )

    def text(self) -> Iterator[str]:
        """What is printed to DVC's own terminal, as it comes, until DVC ends."""
        assert self._terminal is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        ended = False
        while True:
            if not select.select([self._terminal], [], [], WAIT)[0]:
                if ended:
                    break  # somebody else may keep the terminal open
                ended = self._process.poll() is not None
                continue
            try:
                found = os.read(self._terminal, 2**16)
            except OSError:  # Linux tells so that nobody has the terminal open
                found = b""
            if not found:
                break
            yield decoder.decode(found)
        os.close(self._terminal)
        self._terminal = None

    def wait(self) -> int:
        """DVC's exit status, once it has ended; of a process that a signal has ended 128 more than the signal's number."""
        status = self._process.wait()
        return 128 - status if status < 0 else status

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """In this block, what asks this process to end is passed on to DVC and its stages, and what they do then is waited for.

        DVC does not outlive the block, whatever ends it.
        """

        def pass_on(number: int, frame: FrameType | None) -> None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGTERM if self.interrupted else signal.SIGINT)
            self.interrupted = True

        before = {number: signal.signal(number, pass_on) for number in ENDING}
        try:
            yield
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGINT)
                if self._terminal is not None:
                    os.close(self._terminal)
                self._process.wait()
            for number, handler in before.items():
                signal.signal(number, handler)


def _environment(own_terminal: bool) -> dict[str, str]:
    """Stages say `python`: it is to be the one that runs this command."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    bars = {"TQDM_BAR_FORMAT": BAR} if own_terminal else {}
    return os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"} | bars
