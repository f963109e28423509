"""Ends that leave nobody waiting."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.structured import Ending


async def after(seconds: float, value: str) -> str:
    await asyncio.sleep(seconds)
    return value


async def test_what_goes_on_comes_to_its_own_end_where_nothing_ends_it() -> None:
    assert await Ending().until(after(0, "done")) == "done"


async def test_setting_it_cancels_all_that_goes_on_until_then() -> None:
    ending, cancelled = Ending(), []

    async def work(place: int) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(place)
            raise

    going = [asyncio.create_task(ending.until(work(place))) for place in range(3)]
    await asyncio.sleep(0)
    ending.set()
    assert await asyncio.gather(*going) == [None] * 3
    assert sorted(cancelled) == [0, 1, 2]
    ending.set()  # once more is no mistake


async def test_what_begins_after_it_was_set_is_cancelled_at_once() -> None:
    ending = Ending()
    ending.set()
    assert await ending.until(after(60, "done")) is None


async def test_once_more_is_no_mistake_while_work_that_began_late_still_ends() -> None:
    async def slow_to_end() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)

    ending = Ending()
    ending.set()
    going = asyncio.create_task(ending.until(slow_to_end()))
    for _ in range(3):
        await asyncio.sleep(0)
    ending.set()
    await going


async def test_a_time_limit_of_the_work_itself_is_its_own_mistake() -> None:
    async def late() -> None:
        async with asyncio.timeout(0):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await Ending().until(late())


async def test_who_is_cancelled_does_not_take_it_for_the_end() -> None:
    ending = Ending()
    going = asyncio.create_task(ending.until(after(60, "done")))
    await asyncio.sleep(0)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    ending.set()  # nothing of it is left
