"""Running a small program that a model wrote: its function on given arguments, in a process with limits.

The process has an empty directory and an empty environment of its own, little time and memory, and no way
to open a socket or to start another program. That keeps mistakes of a model from doing harm. It is no
sandbox for code that wants to break out.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from orchestrator.consensus.extraction import extract_code

CPU_SECONDS = 5
WALL_SECONDS = 30.0  # on a machine that does other things as well
MEMORY = 512 * 2**20
"""Bytes of address space."""
FILE = 2**20
"""Bytes of the largest file that can be written, and of what is read of the output."""

_RUNNER = """
import contextlib, io, json, sys

def denied(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")):
        raise PermissionError(f"{event} is not allowed here")

given = json.load(sys.stdin)
out = sys.stdout
sys.addaudithook(denied)
sys.stdin = io.StringIO()
results = []
with contextlib.redirect_stdout(io.StringIO()):
    names = {"__name__": "program"}
    exec(compile(given["code"], "program", "exec"), names)
    for arguments in given["calls"]:
        results.append(names[given["function"]](*arguments))
out.write(json.dumps(results))
"""


def code_in(text: str) -> str:
    """The program that a text ends with; the whole text where it has no fenced block."""
    claim = extract_code(text)
    return claim.text if claim is not None else text


def returned(code: str, function: str, calls: Sequence[Sequence[Any]]) -> list[Any] | None:
    """What a function of the program returns for each list of arguments, as JSON has it.

    None if the program cannot be compiled, lacks the function, raises, breaks a limit, or returns what JSON
    cannot say.
    """
    return _run(json.dumps({"code": code, "function": function, "calls": calls}))


@lru_cache(1_000)
def _run(given: str) -> list[Any] | None:
    """Run once what may well be asked about again: a table judges all its answers anew."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as out:
        process = subprocess.Popen(  # noqa: S603 -- running what a model wrote is the purpose
            [sys.executable, "-I", "-S", "-c", _RUNNER],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env={},
            preexec_fn=_limited,
            start_new_session=True,
        )
        try:
            process.communicate(given.encode(), timeout=WALL_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        try:
            results = json.loads(out.read(FILE))
        except ValueError:
            return None
    return results if isinstance(results, list) else None


def _limited() -> None:
    limits = {
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_FSIZE: FILE,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))


def alike(result: Any, expected: Any) -> bool:
    """Whether a function returned what was expected: also as to type, and floats to nine digits."""
    match result, expected:
        case bool(), _:
            return result is expected
        case _, bool():
            return False
        case ((int() | float()), (int() | float())):
            return math.isclose(result, expected, rel_tol=1e-9, abs_tol=1e-9)
        case list(), list():
            return len(result) == len(expected) and all(map(alike, result, expected))
        case dict(), dict():
            return result.keys() == expected.keys() and all(
                alike(result[key], expected[key]) for key in result
            )
        case _:
            return type(result) is type(expected) and bool(result == expected)
