"""Notices if the event loop was held up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

HELD_SECONDS = 5.0
"""Longer than a loaded machine takes for one turn, and shorter than what a hostile tool would like to take."""


@asynccontextmanager
async def turning(within: float = 60.0) -> AsyncGenerator[None, None]:
    """Fail if the block takes longer than ``within`` seconds, or the loop does not turn meanwhile."""
    longest = 0.0

    async def turn() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - began)

    turner = asyncio.create_task(turn())
    try:
        async with asyncio.timeout(within):
            yield
            await asyncio.sleep(0.002)
        assert not turner.done()
        assert longest < HELD_SECONDS, f"the event loop was held up for {longest:.1f} s"
    finally:
        turner.cancel()
        await asyncio.wait([turner])
