"""The API as a process: serve, work, and drain on request."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from aiohttp import web

from orchestrator.api.application import batches, create_application
from orchestrator.api.hosts import Hosts, Origins
from orchestrator.api.listening import listening
from orchestrator.api.signals import Signals
from orchestrator.api.sockets import is_local
from orchestrator.errors import InvalidRequest, Unavailable
from orchestrator.settings import Settings
from orchestrator.structured import Ending
from orchestrator.tasks.health import Health
from orchestrator.tasks.service import Service
from storage.store import Store
from workers.errors import WorkerError

log = structlog.get_logger()

SWITCH_SECONDS = 0.001
"""How long the threads of the database may keep the event loop from running Python."""

LOOK_SECONDS = 0.25
"""How often to look whether something has ended that must not."""


class Make(Protocol):
    """Makes an application over a service; see :func:`orchestrator.api.application.create_application`."""

    def __call__(
        self, service: Service, *, draining: asyncio.Event, closing: Ending, insecure: bool
    ) -> web.Application:
        """The application. Raises InvalidRequest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where to listen: at a host and a port, or at the Unix socket ``uds``.

    ``insecure`` lets everybody do everything who reaches it, as long as there are no keys.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: Path | None = None
    insecure: bool = False


async def serve(
    service: Service,
    binding: Binding,
    signals: Signals,
    *,
    make: Make = create_application,
    on_listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve and work until a signal comes; then drain while the API still answers.

    Look first whether the binding is one for this service, with :func:`check_binding`.

    A drain refuses new tasks, lets running ones go on for the grace period and hands the rest back to the
    queue. A second signal hands them back at once. The engine is started first; if it cannot be reached yet,
    the API reports itself as unavailable until it can. ``make`` makes what is served, by default the API.

    Raises:
        WorkerError: the engine cannot be started, and trying again would not help.
        OSError: the address cannot be bound.
        Unavailable: something has ended without which this process can work on nothing; its tasks were
            handed back.
    """
    closing = Ending()
    application = make(service, draining=signals.draining, closing=closing, insecure=binding.insecure)
    gc.collect()
    gc.freeze()  # what is loaded by now stays; scanning it again would hold up the event loop
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        await service.engine.capabilities()
    except WorkerError as error:
        if not error.retryable:
            raise
        log.warning("the engine is not available yet", code=error.code, error=str(error))
    with service.health.watched():
        async with listening(application, binding.host, binding.port, uds=binding.uds) as url:
            try:
                async with service.working(), batches(application):
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


async def check_binding(binding: Binding, settings: Settings, store: Store) -> None:
    """Refuse to let everybody on the network do everything, unless told to.

    Raises:
        InvalidRequest: others than this machine could reach the service, and there are no keys in its store;
            or an allowed host or origin is none.
        socket.gaierror: there is no such host.
    """
    Hosts(settings.allowed_hosts)
    Origins(settings.allowed_origins)
    if binding.uds is not None or await is_local(binding.host) or await store.access.any_key():
        return
    if binding.insecure:
        log.warning("everybody who reaches this service may do everything", host=binding.host)
        return
    raise InvalidRequest(
        f"--host {binding.host}: others could reach this service, and it has no keys. Create one with "
        "`anabranch keys create`, listen at 127.0.0.1 or at --uds PATH, or say --insecure to let everybody "
        "do everything who reaches it"
    )


async def _end(health: Health, draining: asyncio.Event) -> str | None:
    """Wait until ``draining`` is set, or until something has ended that must not; says what that is."""
    while not draining.is_set():
        if (why := health.failed()) is not None:
            log.critical("this process can work on nothing more: it hands back its tasks and ends", why=why)
            return why
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await draining.wait()
    return None
