"""A service over the engine and the database that settings name: what each of the three doors opens first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from orchestrator.engines import OnProgress, build_engine
from orchestrator.errors import translated
from orchestrator.planning.planner import Planner
from orchestrator.settings import Settings
from orchestrator.tasks.evidence import Calibrations
from orchestrator.tasks.service import Service
from storage.opening import open_store
from storage.store import Store
from workers.engine import Engine
from workers.tools.toolbox import Toolbox


@asynccontextmanager
async def opened_service(
    settings: Settings,
    toolbox: Toolbox,
    *,
    engine: Engine | None = None,
    planners: Mapping[str, Planner] | None = None,
    on_progress: OnProgress | None = None,
    closing_seconds: float | None = None,
) -> AsyncIterator[Service]:
    """A service that is closed with the block.

    Args:
        engine: what to run on; it stays the caller's to close. None: the engine of the settings.
        planners: planners that no installed package provides.
        on_progress: told how the engine of the settings gets ready.
        closing_seconds: how long that engine may take to stop; None: as long as it takes.

    Raises:
        InvalidRequest: a setting is wrong.
        Unavailable: the database cannot be used.
    """
    calibrations = await Calibrations.read(settings.calibration)
    running = build_engine(settings, on_progress=on_progress) if engine is None else engine
    try:
        with translated():
            store = await open_store(settings.database)
        async with store:
            yield Service(
                store,
                running,
                toolbox=toolbox,
                planners=planners,
                settings=settings,
                calibrations=calibrations,
            )
    finally:
        if engine is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(closing_seconds):
                    await running.close()


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The database of the settings, closed with the block.

    Raises:
        Unavailable: it cannot be used.
        TaskNotFound: what the block asks it for is not there.
    """
    with translated():
        async with await open_store(settings.database) as store:
            yield store
