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


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen()
    monkeypatch.setattr(sys, "stderr", made)
    return made


def test_the_first_sign_is_removed_by_what_is_told_next(screen: Screen) -> None:
    begin()
    tell("error [internal]: x")
    tell("more")
    assert screen.getvalue() == "starting …\r\x1b[Kerror [internal]: x\nmore\n"


def test_the_first_sign_is_removed_once(screen: Screen) -> None:
    clear()
    begin()
    clear()
    clear()
    assert screen.getvalue() == "starting …\r\x1b[K"


def test_without_a_terminal_there_is_no_first_sign(capsys: pytest.CaptureFixture[str]) -> None:
    begin()
    clear()
    assert capsys.readouterr().err == ""
