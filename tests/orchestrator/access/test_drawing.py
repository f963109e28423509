"""Requests that are admitted before they come: fewer transactions, and never more requests than the limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.access import drawing
from orchestrator.access.drawing import AHEAD_SECONDS, Drawing
from storage.access import AccessStore
from storage.accounts import Limits, Rate, Shortage
from storage.store import Store
from tests.orchestrator.access.conftest import Clock

ACCOUNT = ("key:a",)
SLOW = 0.001
"""Requests per second, of an account that gets nothing back during a test."""


class Counting:
    """A store that counts transactions, and how many requests were admitted in each."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self.asked: list[int] = []

    async def draw(self, requests: Sequence[tuple[str, ...]]) -> Sequence[Rate | Shortage | None]:
        self.asked.append(len(requests))
        return await self._store.draw(requests)


async def counting(store: Store, burst: int, rate: float = SLOW) -> Counting:
    await store.access.set_limits(ACCOUNT[0], Limits(rate=rate, burst=burst))
    return Counting(store.access)


def drawing_on(store: Counting) -> Drawing:
    fake: Any = store
    return Drawing(fake)


@pytest.fixture
def standing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(drawing, "monotonic", clock)
    return clock


async def test_requests_one_after_the_other_share_transactions(store: Store, standing: Clock) -> None:
    counted = await counting(store, burst=10_000)
    drawn = drawing_on(counted)
    left = [await drawn.draw(ACCOUNT) for _ in range(100)]
    assert [each.remaining for each in left if isinstance(each, Rate)] == [*range(9_999, 9_899, -1)]
    assert counted.asked[:6] == [1, 2, 3, 5, 9, 17]
    assert max(counted.asked) == 17


async def test_requests_now_and_then_are_counted_one_by_one(store: Store, standing: Clock) -> None:
    counted = await counting(store, burst=10_000)
    drawn = drawing_on(counted)
    for _ in range(5):
        await drawn.draw(ACCOUNT)
        standing.go(AHEAD_SECONDS)
    assert counted.asked == [1] * 5


async def test_those_that_do_not_come_in_time_are_counted_all_the_same(store: Store, standing: Clock) -> None:
    counted = await counting(store, burst=10_000)
    drawn = drawing_on(counted)
    await drawn.draw(ACCOUNT)
    await drawn.draw(ACCOUNT)
    standing.go(AHEAD_SECONDS)
    found = await drawn.draw(ACCOUNT)
    assert counted.asked == [1, 2, 1]
    assert isinstance(found, Rate)
    assert found.remaining == 10_000 - 4


async def test_two_processes_never_admit_more_than_the_limit(store: Store, standing: Clock) -> None:
    counted = await counting(store, burst=128)
    processes = [drawing_on(counted), drawing_on(counted)]
    admitted = 0
    for _ in range(128):
        for each in processes:
            admitted += isinstance(await each.draw(ACCOUNT), Rate)
    assert admitted == 128


async def test_nothing_is_given_ahead_where_little_is_left(store: Store, standing: Clock) -> None:
    counted = await counting(store, burst=64)
    drawn = drawing_on(counted)
    for _ in range(64):
        await drawn.draw(ACCOUNT)
    before = counted.asked[: -(64 // 2) + 1]
    assert max(before) == 3
    assert counted.asked[len(before) :] == [1] * (64 // 2 - 1)
    assert isinstance(await drawn.draw(ACCOUNT), Shortage)


async def test_small_bursts_are_counted_one_by_one(store: Store, standing: Clock) -> None:
    counted = await counting(store, burst=20)
    drawn = drawing_on(counted)
    for _ in range(10):
        await drawn.draw(ACCOUNT)
    assert counted.asked == [1] * 10
