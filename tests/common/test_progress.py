"""Bars of progress are for terminals, and can be switched off."""

import io
import sys

import pytest

from shed.common.progress import track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stderr", "switch", "shown"), [(Terminal, "", True), (Terminal, "1", False), (io.StringIO, "", False)]
)
def test_a_bar_is_shown_on_a_terminal_unless_it_is_switched_off(
    stderr: type[io.StringIO], switch: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_DISABLE", switch)
    screen = stderr()
    monkeypatch.setattr(sys, "stderr", screen)
    assert list(track(range(3), "counting")) == [0, 1, 2]
    assert ("counting" in screen.getvalue()) == shown
