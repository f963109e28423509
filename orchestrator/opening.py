"""A service over the engine and database that the settings name: what all front doors open first."""

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
    """A service that is closed at the end of the block.

    Args:
        engine: what to run on; the caller closes it. None: the engine of the settings.
        planners: planners that no installed package provides.
        on_progress: called with the progress of the settings' engine while it gets ready.
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
    """The database of the settings, closed at the end of the block.

    Raises:
        Unavailable: it cannot be used.
        TaskNotFound: a task that the block asks for does not exist.
    """
    with translated():
        async with await open_store(settings.database) as store:
            yield store
