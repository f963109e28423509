"""Comparing claims as mathematics, with math-verify (extra ``math``).

It runs in processes of its own. A model may write ``9^{9^{9^9}}``, and arithmetic on such a number holds the
interpreter's lock: in this process, nothing could stop it, and nothing else would run.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from orchestrator.consensus.latex import as_latex
from workers.errors import ToolError
from workers.tools.declaration import tool

AVAILABLE = find_spec("math_verify") is not None
"""Whether the extra ``math`` is installed."""

PROCESSES = 2
"""How many pairs are compared at a time; a process that waits for the next pair takes about 100 MB."""

_PROGRAM = Path(__file__).with_name("symbolic_process.py")
_idle: list[subprocess.Popen[str]] = []
_room = threading.BoundedSemaphore(PROCESSES)


def math_equal(left: str, right: str) -> bool:
    """Whether two mathematical expressions, in LaTeX or plain, have the same value."""
    with _room:
        process = _waiting() or _started()
        reply = _exchange(process, json.dumps([as_latex(left), as_latex(right)]))
        if reply is None:
            _end(process)
            raise ToolError("the two cannot be compared in reasonable time")
        _idle.append(process)
    return reply


MATH_EQUAL = tool(timeout=60.0)(math_equal)
"""A tool, because it may take a while: it runs off the event loop, and its verdict is recorded."""


def _waiting() -> subprocess.Popen[str] | None:
    while _idle:
        process = _idle.pop()
        if process.poll() is None:
            return process
        _end(process)
    return None


def _started() -> subprocess.Popen[str]:
    # Without -P, the modules beside the program would shadow installed ones of the same name.
    return subprocess.Popen(  # noqa: S603 our own program
        [sys.executable, "-P", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _exchange(process: subprocess.Popen[str], line: str) -> bool | None:
    """What the process says about a pair; None if the process ended instead."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        reply = process.stdout.readline()
        return json.loads(reply) is True if reply else None
    return None


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    with suppress(OSError):
        process.communicate()


@atexit.register
def _end_all() -> None:
    while _idle:
        _end(_idle.pop())
