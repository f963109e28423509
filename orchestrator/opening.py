"""A service over the engine and database that the settings name: what all front doors open first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress

from orchestrator.engines import OnProgress, build_engine
from orchestrator.errors import InvalidRequest, translated
from orchestrator.permissions import keep_private
from orchestrator.planning.planner import Planner
from orchestrator.settings import Settings
from orchestrator.tasks.calibrations import Calibrations
from orchestrator.tasks.service import Service
from orchestrator.toolbox import with_servers
from orchestrator.tracing.live import Tracing
from storage.opening import open_store
from storage.store import Store
from workers.engine import Engine
from workers.tools.toolbox import Toolbox

PATIENCE_SECONDS = 60.0
"""How long a server waits for a PostgreSQL that starts at the same time, as when a host boots."""

ENDING_SECONDS = 5.0
"""How long tasks whose engine was stopped may take to end."""


@asynccontextmanager
async def opened_service(
    settings: Settings,
    toolbox: Toolbox,
    *,
    engine: Engine | None = None,
    planners: Mapping[str, Planner] | None = None,
    on_progress: OnProgress | None = None,
    closing_seconds: float | None = None,
    staying: bool = False,
    on_store: Callable[[Store], Awaitable[None]] | None = None,
) -> AsyncIterator[Service]:
    """A service that is closed at the end of the block.

    Args:
        engine: what to run on; the caller closes it. None: the engine of the settings.
        planners: planners that no installed package provides.
        on_progress: called with the progress of the settings' engine while it gets ready.
        closing_seconds: how long that engine may take to stop; None: as long as it takes.
        staying: the process is a server: it waits for a database that is still starting, and checks it.
        on_store: called with the store before the engine is built, which may take long; may raise.

    Raises:
        InvalidRequest: a setting is wrong.
        Unavailable: the database, the engine or its model, or an MCP server cannot be used.
    """
    calibrations = await Calibrations.read(settings.calibration)
    async with AsyncExitStack() as closing:
        with translated():
            await asyncio.to_thread(keep_private, settings, engine=engine is None)
            opened = await open_store(
                settings.database,
                check=staying and settings.check,
                patience=PATIENCE_SECONDS if staying else 0.0,
            )
            store = await closing.enter_async_context(opened)
            if on_store is not None:
                await on_store(store)
            running = engine
            if running is None:
                running = await asyncio.to_thread(build_engine, settings, on_progress=on_progress)
        service = Service(
            store,
            running,
            toolbox=toolbox,
            planners=planners,
            settings=settings,
            calibrations=calibrations,
            tracing=await closing.enter_async_context(_tracing(settings)),
        )
        await closing.enter_async_context(with_servers(settings, toolbox, service.offer))
        if engine is None:
            closing.push_async_callback(_close, service, closing_seconds)
        yield service


@asynccontextmanager
async def _tracing(settings: Settings) -> AsyncIterator[Tracing | None]:
    """What follows the runs of a service, if that is wanted.

    Raises:
        InvalidRequest: its packages are not installed, or a variable of theirs is wrong.
    """
    if not settings.otel:
        yield None
        return
    try:
        from orchestrator.tracing.sending import sending
    except ImportError as error:
        raise InvalidRequest(
            "ANABRANCH_OTEL: spans need the extra 'otel': pip install 'anabranch[otel]'"
        ) from error
    async with AsyncExitStack() as closing:
        try:
            tracing = await closing.enter_async_context(sending(content=settings.otel_content))
        except ValueError as error:
            raise InvalidRequest(f"OpenTelemetry (OTEL_…): {error}") from error
        yield tracing


async def _close(service: Service, seconds: float | None) -> None:
    """Stop the engine of a service, and let the tasks that lose it end while there is a store."""
    with suppress(TimeoutError) if seconds is not None else nullcontext():
        async with asyncio.timeout(seconds):
            await service.engine.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(ENDING_SECONDS):
            await service.idle()


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The database of the settings, closed at the end of the block.

    Raises:
        Unavailable: it cannot be used.
        TaskNotFound: a task that the block asks for does not exist.
    """
    with translated():
        await asyncio.to_thread(keep_private, settings)
        async with await open_store(settings.database) as store:
            yield store
