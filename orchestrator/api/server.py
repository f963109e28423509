"""The API as a process: serve, work, and drain on request."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from orchestrator.api.application import create_application
from orchestrator.api.listening import listening
from orchestrator.tasks.service import Service
from workers.errors import WorkerError

log = structlog.get_logger()

SWITCH_SECONDS = 0.001
"""How long the threads of the database may keep the event loop from running Python."""


async def serve(
    service: Service, host: str, port: int, *, on_listening: Callable[[str], None] = lambda url: None
) -> None:
    """Serve and work until SIGTERM or SIGINT; then drain while the API still answers.

    A drain refuses new tasks, lets running ones go on for the grace period and hands the rest back to the
    queue. A second signal hands them back at once. The engine is started first; if it cannot be reached yet,
    the API reports itself as unavailable until it can.

    Raises:
        WorkerError: the engine cannot be started, and trying again would not help.
        OSError: the address cannot be bound.
    """
    gc.collect()
    gc.freeze()  # what is loaded by now stays; scanning it again would hold up the event loop
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        await service.engine.capabilities()
    except WorkerError as error:
        if not error.retryable:
            raise
        log.warning("the engine is not available yet", code=error.code, error=str(error))
    draining, closing = asyncio.Event(), asyncio.Event()
    application = create_application(service, draining=draining, closing=closing)
    patience = service.settings.client_seconds
    async with listening(application, host, port, patience=patience) as url, _signals(draining):
        try:
            async with service.working():
                on_listening(url)
                await draining.wait()
                log.info("draining")
        finally:
            closing.set()


@asynccontextmanager
async def _signals(draining: asyncio.Event) -> AsyncIterator[None]:
    """The first signal sets ``draining``; the next one cancels the block."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    hurried = False

    def received() -> None:
        nonlocal hurried
        if draining.is_set():
            hurried = True
            task.cancel()
        draining.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)
    try:
        yield
    except asyncio.CancelledError:
        if not hurried:
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
