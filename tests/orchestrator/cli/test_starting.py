"""What a person sees first, at a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest

from tests.orchestrator.cli.test_commands import command, server

__all__ = ["server"]
ROOT = Path(__file__).parents[3]


def seen(*arguments: str, enough: str, within: float = 120.0) -> str:
    """What a command writes to its terminal, until ``enough`` is found in it or it ends."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ.update(TERM="xterm", COLUMNS="120", LINES="40", PYTHONPATH=str(ROOT))
        os.execv(sys.executable, command(*arguments))
    told, until = b"", time.monotonic() + within
    try:
        while time.monotonic() < until and not re.search(enough, told.decode(errors="replace")):
            if select.select([terminal], [], [], 0.1)[0]:
                told += os.read(terminal, 65_536)
    except OSError:  # it has ended
        pass
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
    return told.decode(errors="replace")


@pytest.mark.filterwarnings("ignore:.*forkpty.*:DeprecationWarning")
def test_the_first_sign_comes_before_what_is_imported_and_then_the_text_of_branches(server: str) -> None:
    told = seen(
        *("solve", "very slow", "-p", "vote", "-o", "n=3", "--engine", server, "--database", "memory"),
        enough=r"(?s)about|branch 0.{1,400}word word",
    )
    assert told.startswith("starting …\r\x1b[K")
    assert "word word" in told
    assert "0 of at most 3 branches" in told
