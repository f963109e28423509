from __future__ import annotations

import io
import sys

import pytest
from typing_extensions import override

from orchestrator.cli.saying import begin, clear, tell


class Screen(io.StringIO):
    """Standard error that is a terminal."""

    @override
    def isatty(self) -> bool:
        return True


def on(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)  # in the test: a fixture would come before pytest's capture
    return screen


def test_the_first_sign_is_removed_by_what_is_told_next(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on(monkeypatch)
    begin()
    tell("error [internal]: x")
    tell("more")
    assert screen.getvalue() == "starting …\r\x1b[Kerror [internal]: x\nmore\n"


def test_the_first_sign_is_removed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on(monkeypatch)
    clear()
    begin()
    clear()
    clear()
    assert screen.getvalue() == "starting …\r\x1b[K"


def test_without_a_terminal_there_is_no_first_sign(capsys: pytest.CaptureFixture[str]) -> None:
    begin()
    clear()
    assert capsys.readouterr().err == ""
