"""The process of a server: how it is started, and how it is ended so that nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

log = structlog.get_logger(__name__)


async def spawn(command: Sequence[str], variables: Mapping[str, str]) -> tuple[Process, int]:
    """Start a process; returns it and the read end of a pipe that it writes its log to.

    Raises:
        OSError: it cannot be started.
    """
    # A pipe of our own: asyncio's wait() for a process with a pipe of its own waits for the pipe too,
    # and the children of a server that was killed keep that open.
    output, inlet = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=inlet, stderr=STDOUT, env=variables, start_new_session=True
        )
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(inlet)
    return process, output


KILL_SECONDS = 10.0
"""How long a process that was killed may take to end; one that waits for a device may take longer."""


async def end(process: Process, server: str, seconds: float) -> None:
    """Ask ``server`` to stop, and kill what is left of its process group, after ``seconds`` at the latest.

    Returns, or raises the cancellation, when the process has ended, and its transport with it.
    """
    try:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(seconds):
                await process.wait()
    except TimeoutError:
        log.warning("vllm_killed", server=server, seconds=seconds)
    finally:  # even if it is closed once more meanwhile
        # The group outlives its leader when the leader was killed: the engine core is a child of it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(KILL_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("vllm_not_killed", server=server, pid=process.pid)
