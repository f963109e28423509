"""Programs in processes of their own, which answer line by line and are ended when they take too long.

For work that may hold the interpreter's lock for ever, such as arithmetic on huge numbers: in this process,
nothing could stop it, and nothing else would run.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

MEMORY = 2 << 30
"""Bytes of address space of a program, if the platform can limit it."""


class Program:
    """A program that calls :func:`answer`, in up to ``processes`` at a time; idle ones wait for more."""

    def __init__(self, path: Path, processes: int = 2) -> None:
        self.idle: list[subprocess.Popen[str]] = []
        self._path = path
        self._room = threading.BoundedSemaphore(processes)
        atexit.register(self._end_all)

    def reply(self, asked: object) -> tuple[Any] | None:
        """What it replies to a value in JSON, alone in a tuple; None if it ended instead.

        This waits for a process and for its reply, so it belongs into a thread.
        """
        with self._room:
            process = self._waiting() or self._started()
            reply = _exchange(process, json.dumps(asked))
            if reply is None:
                _end(process)
            else:
                self.idle.append(process)
        return reply

    def _waiting(self) -> subprocess.Popen[str] | None:
        while self.idle:
            process = self.idle.pop()
            if process.poll() is None:
                return process
            _end(process)
        return None

    def _started(self) -> subprocess.Popen[str]:
        # Without -P, the modules beside the program would shadow installed ones of the same name.
        return subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, "-P", str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _end_all(self) -> None:
        while self.idle:
            _end(self.idle.pop())


def _exchange(process: subprocess.Popen[str], line: str) -> tuple[Any] | None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        reply = process.stdout.readline()
        return (json.loads(reply),) if reply else None
    return None


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    with suppress(OSError):
        process.communicate()


def answer(function: Callable[[Any], object], *, seconds: int, otherwise: object) -> None:
    """In the process of a program: reply to each line, until the input ends.

    The process ends when a reply takes more than ``seconds``. ``otherwise`` is replied where the function
    raises something, as when it needs more than :data:`MEMORY`.
    """
    for name in ("SIGINT", "SIGTERM"):  # meant for the process that asks, whose end ends this one
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(ImportError, ValueError):  # no such limit, or a lower one is set already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    replies, sys.stdout = sys.stdout, sys.stderr  # a library may print
    for line in sys.stdin:
        # A thread without the interpreter's lock ends the process, even in the middle of arithmetic.
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            said = function(json.loads(line))
        except Exception:
            said = otherwise
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(said), file=replies, flush=True)
