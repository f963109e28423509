"""Places for what lasts, so many in all and for each tenant, and turns for what takes much at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from orchestrator.api.problems import Overloaded
from orchestrator.errors import AnabranchError

RETRY_SECONDS = 5.0

TURN_SECONDS = 10.0
"""How long a request waits for its turn."""


class TooManyStreams(AnabranchError):
    """So many clients follow tasks already that one more does not fit."""

    code = "too_many_streams"
    http_status = 503
    retryable = True
    retry_after = RETRY_SECONDS


class Places:
    """Counts who follows tasks now."""

    def __init__(self, most: int, most_of_tenant: int) -> None:
        self._most = most
        self._most_of_tenant = most_of_tenant
        self._taken: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many places are taken."""
        return self._taken.total()

    @contextmanager
    def taken(self, tenant: str) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            TooManyStreams: there is none left, or none for this tenant.
        """
        advice = "close one, or try again later"
        if self._taken.total() >= self._most:
            raise TooManyStreams(f"{self._most} event streams and waiting requests are open; {advice}")
        if self._taken[tenant] >= self._most_of_tenant:
            raise TooManyStreams(
                f"{self._most_of_tenant} event streams and waiting requests of tenant {tenant!r} are open; "
                f"{advice}"
            )
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]


@asynccontextmanager
async def turn(turns: asyncio.Semaphore, refusal: str) -> AsyncIterator[None]:
    """Hold one of a few turns while the block runs.

    Raises:
        Overloaded: none came within :data:`TURN_SECONDS`; with the refusal as its message.
    """
    try:
        async with asyncio.timeout(TURN_SECONDS):
            await turns.acquire()
    except TimeoutError:
        raise Overloaded(refusal) from None
    try:
        yield
    finally:
        turns.release()
