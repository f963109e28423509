"""The clock of the tests: it jumps over waiting, and not over work."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tests.workers import virtual_time as module
from tests.workers.virtual_time import elapsed, virtual_time
from workers.tools.threads import in_thread


@virtual_time
async def test_waiting_takes_no_time() -> None:
    assert await elapsed(asyncio.sleep(3600)) == 3600


@virtual_time
async def test_a_thread_takes_no_virtual_time() -> None:
    async with asyncio.timeout(0.01):
        assert await elapsed(in_thread(lambda: time.sleep(0.1), "work")) == 0


@virtual_time
async def test_a_thread_takes_no_virtual_time_where_nothing_else_waits() -> None:
    assert await elapsed(in_thread(lambda: time.sleep(0.1), "work")) == 0


def test_the_clock_goes_on_without_a_thread_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.1)
    end = threading.Event()

    @virtual_time
    async def stuck() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await in_thread(end.wait, "stuck")
        assert asyncio.get_running_loop().time() >= 60

    try:
        stuck()
    finally:
        end.set()
