from __future__ import annotations

import asyncio

import pytest

from tests.workers.pool.harness import (
    ANSWER,
    chunks,
    pool_of,
    sibling,
    simulators,
    text_of,
)
from tests.workers.virtual_time import virtual_time
from workers.errors import Overloaded


@virtual_time
async def test_too_many_calls_are_refused_with_a_time_to_return() -> None:
    engines = simulators(1, max_concurrency=2)
    async with pool_of(engines, max_waiting=8) as pool:
        tasks = [asyncio.create_task(chunks(pool, sibling(f"{number}", 0))) for number in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await chunks(pool, sibling("more", 0))
        assert 0 < caught.value.retry_after <= 60
        refused = [
            result
            for result in await asyncio.gather(*tasks, return_exceptions=True)
            if isinstance(result, Overloaded)
        ]
        assert len(refused) == 2  # of ten, two run and six wait; one tenant may not fill the room
        assert text_of(await chunks(pool, sibling("more", 0))) == ANSWER


@virtual_time
async def test_what_has_begun_and_other_tenants_still_get_in() -> None:
    engines = simulators(1, max_concurrency=2)
    async with pool_of(engines, max_waiting=8) as pool:
        tasks = [asyncio.create_task(chunks(pool, sibling("begun", number))) for number in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await chunks(pool, sibling("new", 0))
        tasks.append(asyncio.create_task(chunks(pool, sibling("begun", 9))))
        tasks.append(asyncio.create_task(chunks(pool, sibling("other", 0, tenant="other"))))
        assert [text_of(stream) for stream in await asyncio.gather(*tasks)] == [ANSWER] * 10
