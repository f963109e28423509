from __future__ import annotations

import sys

import pytest

from orchestrator.cli.saying import begin, clear, tell


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


@pytest.mark.usefixtures("terminal")
def test_the_first_sign_is_removed_by_what_is_told_next(capsys: pytest.CaptureFixture[str]) -> None:
    begin()
    tell("error [internal]: x")
    tell("more")
    assert capsys.readouterr().err == "starting …\r\x1b[Kerror [internal]: x\nmore\n"


@pytest.mark.usefixtures("terminal")
def test_the_first_sign_is_removed_once(capsys: pytest.CaptureFixture[str]) -> None:
    clear()
    begin()
    clear()
    clear()
    assert capsys.readouterr().err == "starting …\r\x1b[K"


def test_without_a_terminal_there_is_no_first_sign(capsys: pytest.CaptureFixture[str]) -> None:
    begin()
    clear()
    assert capsys.readouterr().err == ""
