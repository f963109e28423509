"""Checking a journal: in time that grows with its length alone, and whatever a row may hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import JournalDamaged
from storage.events import Event, EventType
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


@pytest.mark.parametrize("field", ["cached", "reasoning"])
def test_what_a_completion_says_of_itself_is_checked(field: str) -> None:
    ask = {"kind": "generate", "label": "", "request": {"key": "k", "prompt": [["user", "?"]]}}
    said = {"text": "a", "finish_reason": "stop", field: ["not", "that"]}
    events = [
        replace(chain(1)[0], seq=0),
        Event(1, EventType.NODE_ADDED, "0", 1.0, ask),
        Event(2, EventType.NODE_SETTLED, "0", 1.0, {"external": True, "outcome": "succeeded", "value": said}),
    ]
    with pytest.raises(JournalDamaged, match=rf"event 2 .*{field}"):
        list(checked("t", events))


def test_no_call_gives_tokens_back() -> None:
    """A negative number would let a run that is put back take more than its budget."""
    settled = {"outcome": "failed", "usage": {"completion_tokens": -1_000}}
    events = [
        replace(chain(1)[0], seq=0),
        Event(1, EventType.NODE_ADDED, "0", 1.0, {"kind": "generate", "label": ""}),
        Event(2, EventType.NODE_SETTLED, "0", 1.0, settled),
    ]
    with pytest.raises(JournalDamaged, match="completion_tokens"):
        list(checked("t", events))


def test_why_an_answer_is_undecided_is_text() -> None:
    events = chain(1)
    answer = {"text": "a", "undecided": 5}
    events[-1] = replace(events[-1], data={**events[-1].data, "answer": answer})
    with pytest.raises(JournalDamaged, match="undecided"):
        list(checked("t", events))
