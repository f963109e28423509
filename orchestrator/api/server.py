"""The API as a process: serve, work, and drain on request."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from aiohttp import web

from orchestrator.api.application import create_application
from orchestrator.api.signals import Signals
from orchestrator.errors import Unavailable
from orchestrator.tasks.health import Health
from orchestrator.tasks.service import Service
from workers.errors import WorkerError

log = structlog.get_logger()

CLOSING_SECONDS = 2.0
"""How long requests may go on after the drain."""

LOOK_SECONDS = 0.25
"""How often to look whether something has ended that must not."""


@asynccontextmanager
async def listening(application: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve until the block ends; yields the base URL. Port 0 means any free port.

    Raises:
        OSError: the address cannot be bound.
    """
    runner = web.AppRunner(
        application, handler_cancellation=True, access_log=None, shutdown_timeout=CLOSING_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    finally:
        await runner.cleanup()


async def serve(
    service: Service,
    host: str,
    port: int,
    signals: Signals,
    *,
    on_listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve and work until a signal comes; then drain while the API still answers.

    A drain refuses new tasks, lets running ones go on for the grace period and hands the rest back to the
    queue. A second signal hands them back at once. The engine is started first; if it cannot be reached yet,
    the API reports itself as unavailable until it can.

    Raises:
        WorkerError: the engine cannot be started, and trying again would not help.
        OSError: the address cannot be bound.
        Unavailable: something has ended without which this process can work on nothing; its tasks were
            handed back.
    """
    gc.collect()
    gc.freeze()  # what is loaded by now stays; scanning it again would hold up the event loop
    try:
        await service.engine.capabilities()
    except WorkerError as error:
        if not error.retryable:
            raise
        log.warning("the engine is not available yet", code=error.code, error=str(error))
    closing = asyncio.Event()
    application = create_application(service, draining=signals.draining, closing=closing)
    with service.health.watched():
        async with listening(application, host, port) as url:
            try:
                async with service.working():
                    signals.serving(service.hand_back)
                    on_listening(url)
                    why = await _end(service.health, signals.draining)
                    if why is not None:
                        service.hand_back()
                        signals.draining.set()
                    log.info("draining")
            finally:
                closing.set()
    if why is not None:
        raise Unavailable(
            f"this process must be started again: {why}",
            code=Unavailable.code,
            http_status=Unavailable.http_status,
            retryable=True,
        )


async def _end(health: Health, draining: asyncio.Event) -> str | None:
    """Wait until ``draining`` is set, or until something has ended that must not; says what that is."""
    while not draining.is_set():
        if (why := health.failed()) is not None:
            log.critical("this process can work on nothing more: it hands back its tasks and ends", why=why)
            return why
        with suppress(TimeoutError):
            await asyncio.wait_for(draining.wait(), LOOK_SECONDS)
    return None
