"""Notices if the event loop was held up, and waits for what comes of others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

HELD_SECONDS = 5.0
"""Longer than a loaded machine takes for one turn."""


@asynccontextmanager
async def turning(within: float = 60.0, every: float = 0.001) -> AsyncGenerator[None, None]:
    """Fail if the block takes longer than ``within`` seconds, or the loop does not turn meanwhile.

    Both times are those of the loop's clock; ``every`` is how often its turns are timed.
    """
    longest = 0.0

    async def turn() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(every)
            longest = max(longest, time.monotonic() - began)

    turner = asyncio.create_task(turn())
    try:
        async with asyncio.timeout(within):
            yield
            await asyncio.sleep(2 * every)
        assert not turner.done()
        assert longest < HELD_SECONDS + every, f"the event loop was held up for {longest:.1f} s"
    finally:
        turner.cancel()
        await asyncio.wait([turner])


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for a minute at most."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
