"""Where a command works: on a database or a service of this machine, or on a service elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.client.local import StoredRuns
from orchestrator.client.plan import address_in
from orchestrator.opening import opened_store
from orchestrator.remote.service import RemoteService
from orchestrator.settings import Settings
from orchestrator.solver import Runs


@asynccontextmanager
async def opened_runs(settings: Settings) -> AsyncIterator[Runs]:
    """The stored runs: those of the service that the settings name, or those in the database.

    Raises:
        InvalidRequest: the settings name no service that could be asked.
        Unavailable: the database cannot be used.
    """
    if settings.url is not None:
        async with opened_service_elsewhere(settings) as service:
            yield service
    else:
        async with opened_store(settings) as store:
            yield StoredRuns(store)


@asynccontextmanager
async def opened_service_elsewhere(settings: Settings) -> AsyncIterator[RemoteService]:
    """The service that the settings name. Raises InvalidRequest if it could not be asked."""
    address = address_in(settings)
    assert address is not None
    service = RemoteService(address)
    try:
        yield service
    finally:
        await service.close()
