"""The API as a process: serve, work, and drain on request."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog

from orchestrator.api.application import create_application
from orchestrator.api.listening import listening
from orchestrator.api.signals import Signals
from orchestrator.errors import Unavailable
from orchestrator.tasks.health import Health
from orchestrator.tasks.service import Service
from workers.errors import WorkerError

log = structlog.get_logger()

SWITCH_SECONDS = 0.001
"""How long the threads of the database may keep the event loop from running Python."""

LOOK_SECONDS = 0.25
"""How often to look whether something has ended that must not."""


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
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        await service.engine.capabilities()
    except WorkerError as error:
        if not error.retryable:
            raise
        log.warning("the engine is not available yet", code=error.code, error=str(error))
    closing = asyncio.Event()
    application = create_application(service, draining=signals.draining, closing=closing)
    with service.health.watched():
        patience = service.settings.client_seconds
        async with listening(application, host, port, patience=patience) as url:
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
