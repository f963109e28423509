"""Checking a journal: in time that grows with its length alone, and whatever a row may hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import JournalDamaged
from storage.events import Event
from storage.opening import open_store
from storage.reading import checked, read_journal
from tests.storage.journals import TASK, arrivals, chain, growth


@pytest.mark.parametrize("make", [chain, arrivals])
def test_four_times_as_many_nodes_take_four_times_as_long(make: Callable[[int], list[Event]]) -> None:
    assert growth(make, lambda events: list(checked("t", events)), 500) < 9


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1.0, 1e12, "noon", None])
def test_an_event_without_a_time_is_damaged(at: Any) -> None:
    events = chain(1)
    events[1] = replace(events[1], at=at)
    with pytest.raises(JournalDamaged, match=r"event 1 .* at: it should be a time"):
        list(checked("t", events))


def test_an_input_that_was_never_added_is_named() -> None:
    events = chain(2)
    events[3] = replace(events[3], data={**events[3].data, "inputs": ["0", "7", "5"]})
    with pytest.raises(JournalDamaged, match="its input 5 was never added"):
        list(checked("t", events))


async def test_others_get_a_turn_while_a_long_journal_is_read() -> None:
    async with await open_store("memory") as store:
        await store.restore(TASK, chain(5000))
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        running = asyncio.create_task(other())
        assert len(await read_journal(store, TASK.id)) == 10_002
        running.cancel()
        assert turns > 3
